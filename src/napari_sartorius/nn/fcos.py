"""Boxes without anchors: every place of the feature maps speaks for itself (Tian et al. 2019)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from napari_sartorius.nn.config import FCOSConfig


class FCOSMaps(NamedTuple):
    """What the head says at every place; one entry for each level, places row by row.

    Attributes
    ----------
    classes
        (B, P, K) logits.
    distances
        (B, P, 4) network pixels from the place to the left, top, right and bottom of its object,
        0 or more.
    centerness
        (B, P) logits.
    """

    classes: list[Tensor]
    distances: list[Tensor]
    centerness: list[Tensor]

    def detached(self) -> FCOSMaps:
        """The same without gradients."""
        return FCOSMaps(*([level.detach() for level in part] for part in self))


class FCOSHead(nn.Module):
    """Two towers of convolutions that all levels share, and one scale of the distances for each.

    Parameters
    ----------
    width
        Channels of the levels.
    num_classes
        Categories.
    config
        Of the towers.
    strides
        Stride of each level.
    """

    def __init__(
        self, width: int, num_classes: int, config: FCOSConfig, strides: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.strides = strides
        self.class_tower = _tower(width, config.class_layers, config.groups)
        self.box_tower = _tower(width, config.box_layers, config.groups)
        self.classes = nn.Conv2d(width, num_classes, 3, padding=1)
        self.distances = nn.Conv2d(width, 4, 3, padding=1)
        self.centerness = nn.Conv2d(width, 1, 3, padding=1)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in strides)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        assert self.classes.bias is not None
        nn.init.constant_(self.classes.bias, -math.log((1 - config.prior) / config.prior))
        # Distances start at one stride: where they are cut off at 0 nothing can be learnt.
        assert self.distances.bias is not None
        nn.init.ones_(self.distances.bias)

    def forward(self, features: list[Tensor]) -> FCOSMaps:
        """Maps of all levels (B, C, H_l, W_l), float32."""
        maps = FCOSMaps([], [], [])
        for level, stride, scale in zip(features, self.strides, self.scales, strict=True):
            seen, sides = self.class_tower(level), self.box_tower(level)
            maps.classes.append(_by_place(self.classes(seen)))
            # Scaled in float32, so that half precision does not round a far side.
            distances = functional.relu(_by_place(self.distances(sides)) * scale.float())
            maps.distances.append(distances * stride)
            maps.centerness.append(_by_place(self.centerness(sides))[..., 0])
        return maps


def _tower(width: int, layers: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.GroupNorm(groups, width),
                nn.ReLU(inplace=True),
            )
            for _ in range(layers)
        )
    )


def _by_place(level: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H * W, C), float32."""
    return level.float().permute(0, 2, 3, 1).flatten(1, 2)


@lru_cache(maxsize=64)
def grid_places(
    shapes: tuple[tuple[int, int], ...], strides: tuple[int, ...], device: torch.device
) -> tuple[Tensor, ...]:
    """Places (rows * columns, 2) as (x, y) of each level, row by row; cached: tiles are alike.

    A place is at index * stride + stride // 2.
    """
    levels = []
    for (rows, columns), stride in zip(shapes, strides, strict=True):
        x = torch.arange(columns, dtype=torch.float32) * stride + stride // 2
        y = torch.arange(rows, dtype=torch.float32) * stride + stride // 2
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        levels.append(torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 2).to(device))
    return tuple(levels)


def boxes_at(places: Tensor, distances: Tensor) -> Tensor:
    """Boxes (N, 4) xyxy of places (N, 2) and distances (N, 4)."""
    return torch.cat([places - distances[:, :2], places + distances[:, 2:]], dim=1)
