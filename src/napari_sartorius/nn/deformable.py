"""Convolution that learns where to look, on any device and at any precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torchvision.ops import deform_conv2d

if TYPE_CHECKING:
    from torch import Tensor


class DeformableConv2d(nn.Conv2d):
    """Modulated deformable 3x3 convolution of stride 1 (Zhu et al. 2019).

    A second convolution, `offset`, tells for each output pixel and tap how far to look beside the
    regular place and with which weight. Its channels are the (dy, dx) of all taps of all offset
    groups, then the logits of the weights. It starts at zero: a regular convolution of half the
    weight.

    Parameters
    ----------
    in_channels, out_channels
        Multiples of both numbers of groups.
    groups
        Groups of the convolution itself.
    offset_groups
        The channels of the input that look at the same places are this many groups.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, groups: int = 1, offset_groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, groups=groups, bias=False)
        self.taps = 9 * offset_groups
        self.offset = nn.Conv2d(in_channels, 3 * self.taps, 3, padding=1, groups=groups, bias=True)
        nn.init.zeros_(self.offset.weight)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gave it
        """Map (B, out_channels, H, W) of a map (B, in_channels, H, W)."""
        places = self.offset(input).float()
        # The sampling needs its coordinates in full precision, also where the rest is halved.
        with torch.autocast(input.device.type, enabled=False):
            sampled: Tensor = deform_conv2d(
                input.to(self.weight.dtype),
                places[:, : 2 * self.taps],
                self.weight,
                self.bias,
                padding=1,
                mask=places[:, 2 * self.taps :].sigmoid(),
            )
        return sampled.to(input.dtype)
