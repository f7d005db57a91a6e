"""Anchor boxes of every pyramid level, in (row, column, anchor) order."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import ProposalConfig


def cell_anchors(sizes: tuple[float, ...], ratios: tuple[float, ...]) -> Tensor:
    """Anchors (A, 4) xyxy around the origin, not rounded; `ratios` are height / width."""
    boxes = []
    for size in sizes:
        for ratio in ratios:
            width = math.sqrt(size * size / ratio)
            height = ratio * width
            boxes.append((-width / 2, -height / 2, width / 2, height / 2))
    return torch.tensor(boxes, dtype=torch.float32)


@lru_cache(maxsize=64)
def grid_anchors(
    config: ProposalConfig,
    shapes: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    device: torch.device,
) -> tuple[Tensor, ...]:
    """Anchors (rows * columns * A, 4) of each level; cached because tiles share their shape."""
    levels = []
    for level_sizes, (rows, columns), stride in zip(
        config.anchor_sizes, shapes, strides, strict=True
    ):
        x = (torch.arange(columns, dtype=torch.float32) + config.anchor_offset) * stride
        y = (torch.arange(rows, dtype=torch.float32) + config.anchor_offset) * stride
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        centres = torch.stack([grid_x, grid_y, grid_x, grid_y], dim=-1).reshape(-1, 1, 4)
        anchors = centres + cell_anchors(level_sizes, config.anchor_ratios)
        levels.append(anchors.reshape(-1, 4).to(device))
    return tuple(levels)
