"""ResNeSt's blocks: timm's weights and numbers without the passes that its way to them takes.

timm adds up what it has just taken apart, along axes that are slow in memory, and brings every map
to another order, from which the next convolution brings it back: on the processor that took ten
times as long as the convolutions.
"""

from __future__ import annotations

import torch
from timm.layers import split_attn
from timm.models import resnest
from torch import Tensor, nn

from napari_sartorius.nn.rectified import added
from napari_sartorius.nn.trunks.places import mean_of_places


class SplitAttn(split_attn.SplitAttn):
    """Weighs the groups of channels that one convolution makes, and adds them (Zhang et al. 2020).

    Its layers and their names are timm's.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) of a map."""
        split = self.act0(self.drop(self.bn0(self.conv(x))))
        parts = split.chunk(self.radix, dim=1)
        # Added before the mean, as timm does: two hundred layers make much of another rounding.
        means = mean_of_places(sum(parts[1:], start=parts[0]))
        attention = self.fc2(self.act1(self.bn1(self.fc1(means))))
        weights = self.rsoftmax(attention).view(len(x), -1, 1, 1).chunk(self.radix, dim=1)
        weighed: Tensor = parts[0] * weights[0]
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            weighed = torch.addcmul(weighed, part, weight)
        return weighed


class ResNestBottleneck(resnest.ResNestBottleneck):
    """Split attention between two 1x1 convolutions, beside a shortcut; layers of timm's names."""

    added_layers = ("conv3",)

    def forward(self, x: Tensor) -> Tensor:
        """Map of a map; in detection `x` may be overwritten where it has no shortcut."""
        hidden = self.act1(self.bn1(self.conv1(x)))
        if self.avd_first is not None:
            hidden = self.avd_first(hidden)
        hidden = self.conv2(hidden)
        if self.avd_last is not None:
            hidden = self.avd_last(hidden)
        beside = x if self.downsample is None else self.downsample(x)
        return added(self.conv3, hidden, self.bn3, beside)


def take_over(body: nn.Module) -> None:
    """Let the blocks of timm's ResNeSt, whose radix is 2, be these, in place."""
    for module in body.modules():
        if type(module) is split_attn.SplitAttn:
            module.__class__ = SplitAttn
        elif type(module) is resnest.ResNestBottleneck:
            module.__class__ = ResNestBottleneck
