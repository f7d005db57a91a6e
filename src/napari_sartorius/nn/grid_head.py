"""The two halves of SOLOv2: what lies in each grid cell, and the map that its kernel reads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_sartorius.nn.positions import anchored, ramps, waves

if TYPE_CHECKING:
    from napari_sartorius.nn.config import SOLOv2Config

# Share of cells that an untrained network calls objects, so that the many empty cells do not
# drown the first steps (Lin et al. 2017, focal loss).
_PRIOR = 0.01


class Grid(NamedTuple):
    """Category logits (B, K, R, C) and kernels (B, E, R, C) of one grid, float32."""

    logits: Tensor
    kernels: Tensor


class GridHead(nn.Module):
    """Categories and kernels of the cells of all grids, with weights that the grids share.

    The part of a kernel that weighs waves is made for waves counted from the cell, and then turned
    into weights of the waves of the mask feature, which are counted from the image's corner.
    """

    def __init__(self, config: SOLOv2Config) -> None:
        super().__init__()
        self.wavelengths = config.wavelengths
        inputs, head = config.pyramid.width, config.head
        self.learnt = config.mask_feature.channels
        places = 0 if config.wavelengths else 2
        self.category_layers = _layers(inputs, head.width, head.layers, head.groups)
        self.kernel_layers = _layers(inputs + places, head.width, head.layers, head.groups)
        self.categories = nn.Conv2d(head.width, config.num_classes, 3, padding=1)
        length = self.learnt + 4 * len(config.wavelengths)
        self.kernels = nn.Conv2d(head.width, length, 3, padding=1)
        for layer in (self.categories, self.kernels):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        assert self.categories.bias is not None
        nn.init.constant_(self.categories.bias, -math.log((1 - _PRIOR) / _PRIOR))

    def forward(self, level: Tensor, shape: tuple[int, int], stride: int) -> Grid:
        """One grid of `shape` (rows, columns) and `stride` from a level of the pyramid."""
        seen = functional.interpolate(level, size=shape, mode="bilinear", align_corners=False)
        logits = self.categories(self.category_layers(seen)).float()
        if not self.wavelengths:
            seen = torch.cat([seen, ramps(seen)], dim=1)
            return Grid(logits, self.kernels(self.kernel_layers(seen)).float())
        kernels = self.kernels(self.kernel_layers(seen)).float()
        around = anchored(kernels[:, self.learnt :], waves(kernels, stride, self.wavelengths))
        return Grid(logits, torch.cat([kernels[:, : self.learnt], around], dim=1))


class MaskFeature(nn.Module):
    """All levels of the pyramid brought to the finest stride and summed, with coordinates.

    Waves are further channels of the result, so that kernels weigh them directly. The ramps of the
    paper join the sum before its last convolution; the paper adds them to the coarsest level.
    """

    def __init__(self, strides: tuple[int, ...], config: SOLOv2Config) -> None:
        super().__init__()
        self.wavelengths, self.stride = config.wavelengths, strides[0]
        part = config.mask_feature
        self.levels = nn.ModuleList()
        for index in range(len(strides)):
            steps: list[nn.Module] = []
            inputs = config.pyramid.width
            for _ in range(max(index, 1)):
                steps += _layers(inputs, part.width, 1, part.groups)
                if index:
                    steps.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
                inputs = part.width
            self.levels.append(nn.Sequential(*steps))
        places = 0 if config.wavelengths else 2
        self.output = nn.Sequential(
            nn.Conv2d(part.width + places, part.channels, 1, bias=False),
            nn.GroupNorm(part.groups, part.channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map (B, E, H, W) at the stride of the finest level."""
        merged: Tensor = self.levels[0](features[0])
        for layers, level in zip(list(self.levels)[1:], features[1:], strict=False):
            merged = merged + layers(level)
        if not self.wavelengths:
            result: Tensor = self.output(torch.cat([merged, ramps(merged)], dim=1))
            return result
        learnt = self.output(merged)
        return torch.cat([learnt, waves(learnt, self.stride, self.wavelengths)], dim=1)


def _layers(inputs: int, width: int, count: int, groups: int) -> nn.Sequential:
    """3x3 convolutions, each with group normalisation (Wu and He 2018)."""
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.GroupNorm(groups, width),
            nn.ReLU(inplace=True),
        ]
        inputs = width
    return nn.Sequential(*layers)
