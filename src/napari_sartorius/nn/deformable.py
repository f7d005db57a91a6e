"""Convolution that learns where to look, on any device and at any precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torchvision.ops import deform_conv2d

from napari_sartorius.nn.deformable_gather import gathered_taps

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
        Multiples of `groups`.
    groups
        Groups of the convolution, and of channels that look at the same places.

    Attributes
    ----------
    by_gather
        Whether detection on the CPU samples with a weighted gather instead of torchvision's
        kernel: several times faster and equal within rounding.
    """

    def __init__(self, in_channels: int, out_channels: int, *, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, groups=groups, bias=False)
        self.by_gather = True
        self.taps = 9 * groups
        self.offset = nn.Conv2d(in_channels, 3 * self.taps, 3, padding=1, groups=groups)
        nn.init.zeros_(self.offset.weight)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gave it
        """Map (B, out_channels, H, W) of a map (B, in_channels, H, W)."""
        # The sampling needs its coordinates in full precision, also where the rest is halved.
        places = self.offset(input).to(self.weight.dtype)
        offsets, weights = places[:, : 2 * self.taps], places[:, 2 * self.taps :].sigmoid()
        plain = input.device.type == "cpu" and self.by_gather and not torch.is_grad_enabled()
        if plain and self.weight.dtype == torch.float32:
            return self._by_gather(input, offsets, weights)
        with torch.autocast(input.device.type, enabled=False):
            sampled: Tensor = deform_conv2d(
                input.to(self.weight.dtype),
                offsets,
                self.weight,
                self.bias,
                padding=1,
                mask=weights,
            )
        return sampled.to(input.dtype)

    def _by_gather(self, values: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """The same by one matrix product over gathered values; channels last in memory."""
        batch, channels, height, width = values.shape
        inner, outer = channels // self.groups, self.out_channels // self.groups
        taps = gathered_taps(values.float(), offsets, weights)
        kernel = self.weight.view(self.groups, outer, inner, 9).permute(0, 3, 2, 1)
        # Under autocast the product, which is most of the work, is halved like any convolution.
        product = torch.matmul(taps, kernel.reshape(self.groups, 9 * inner, outer))
        result = product.transpose(1, 2).reshape(batch, height, width, self.out_channels)
        if self.bias is not None:
            result = result + self.bias
        return result.permute(0, 3, 1, 2).to(values.dtype)
