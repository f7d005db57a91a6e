"""Masks whose head looks where its own convolutions found something (Lee and Park 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sartorius.nn.mask_head import MaskHead

if TYPE_CHECKING:
    from napari_sartorius.nn.config import AttentiveMaskHeadConfig


class SpatialAttention(nn.Module):
    """Weighs each place by the mean and the largest of its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, R, R) of the same shape."""
        seen = torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], dim=1)
        weighed: Tensor = features * self.conv(seen).sigmoid()
        return weighed


class AttentiveMaskHead(MaskHead):
    """CenterMask's mask head: convolutions, spatial attention, doubling, one map per category."""

    def __init__(self, channels: int, num_classes: int, config: AttentiveMaskHeadConfig) -> None:
        super().__init__(channels, num_classes, config)
        self.attention = SpatialAttention()
        nn.init.kaiming_normal_(self.attention.conv.weight)

    def forward(self, pooled: Tensor) -> Tensor:
        """Mask logits (N, K or 1, 2 R, 2 R), float32."""
        return self.logits(self.attention(self.blocks(pooled)))
