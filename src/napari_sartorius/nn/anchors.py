"""Anchor boxes of every pyramid level, in (row, column, anchor) order."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import ProposalConfig


def cell_anchors(
    sizes: tuple[float, ...], ratios: tuple[float, ...], rounded: bool = False
) -> Tensor:
    """Anchors (A, 4) xyxy around the origin, in whole pixels if so wished.

    `ratios` are height / width.
    """
    boxes = []
    for size in sizes:
        for ratio in ratios:
            width = math.sqrt(size * size / ratio)
            height = ratio * width
            boxes.append((-width / 2, -height / 2, width / 2, height / 2))
    anchors = torch.tensor(boxes, dtype=torch.float32)
    return anchors.round() if rounded else anchors


def _steps(
    config: ProposalConfig, shapes: tuple[tuple[int, int], ...], strides: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Distance between the cells of each level along y and x."""
    if not config.strides_from_map:
        return [(stride, stride) for stride in strides]
    # Maps of odd sizes are rounded up when halved, so the smallest product is the image's size.
    height, width = (
        min(shape[axis] * stride for shape, stride in zip(shapes, strides, strict=True))
        for axis in (0, 1)
    )
    return [(height // rows, width // columns) for rows, columns in shapes]


@lru_cache(maxsize=64)
def grid_anchors(
    config: ProposalConfig,
    shapes: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    device: torch.device,
) -> tuple[Tensor, ...]:
    """Anchors (rows * columns * A, 4) of each level; cached because tiles share their shape."""
    levels = []
    for level_sizes, (rows, columns), (step_y, step_x) in zip(
        config.anchor_sizes, shapes, _steps(config, shapes, strides), strict=True
    ):
        x = (torch.arange(columns, dtype=torch.float32) + config.anchor_offset) * step_x
        y = (torch.arange(rows, dtype=torch.float32) + config.anchor_offset) * step_y
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        centres = torch.stack([grid_x, grid_y, grid_x, grid_y], dim=-1).reshape(-1, 1, 4)
        cells = cell_anchors(level_sizes, config.anchor_ratios, config.rounded_anchors)
        anchors = centres + cells
        levels.append(anchors.reshape(-1, 4).to(device))
    return tuple(levels)


def overlapping_anchors(
    config: ProposalConfig,
    shapes: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    boxes: Tensor,
) -> tuple[Tensor, Tensor]:
    """All pairs of an anchor and a box that may overlap, found from the grid and not by trying.

    Parameters
    ----------
    config, shapes, strides
        As for `grid_anchors`.
    boxes
        (G, 4) xyxy in network pixels.

    Returns
    -------
    tuple of Tensor
        (P,) int64 anchor, counted through all levels, and (P,) int64 box, in ascending order of
        the box. Every overlapping pair is there; a few that only touch may be too.
    """
    anchors, owners = [], []
    start = 0
    for level_sizes, (rows, columns), (step_y, step_x) in zip(
        config.anchor_sizes, shapes, _steps(config, shapes, strides), strict=True
    ):
        cells = cell_anchors(level_sizes, config.anchor_ratios, config.rounded_anchors)
        cells = cells.to(boxes.device)
        first_x, count_x = _reach(boxes[:, 0::2], cells[:, 0::2], columns, step_x, config)
        first_y, count_y = _reach(boxes[:, 1::2], cells[:, 1::2], rows, step_y, config)
        count = (count_x * count_y).flatten()
        owner = torch.repeat_interleave(torch.arange(len(count), device=boxes.device), count)
        within = torch.arange(len(owner), device=boxes.device) - (count.cumsum(0) - count)[owner]
        wide = count_x.flatten()[owner]
        row = first_y.flatten()[owner] + torch.div(within, wide, rounding_mode="floor")
        column = first_x.flatten()[owner] + within % wide
        anchors.append(start + (row * columns + column) * len(cells) + owner % len(cells))
        owners.append(torch.div(owner, len(cells), rounding_mode="floor"))
        start += rows * columns * len(cells)
    anchor, owner = torch.cat(anchors), torch.cat(owners)
    order = torch.argsort(owner, stable=True)
    return anchor[order], owner[order]


def _reach(
    spans: Tensor, cells: Tensor, length: int, stride: int, config: ProposalConfig
) -> tuple[Tensor, Tensor]:
    """First grid index and number of them, (G, A), at which cell spans meet box spans (G, 2)."""
    low = (spans[:, 0:1] - cells[None, :, 1]) / stride - config.anchor_offset
    high = (spans[:, 1:2] - cells[None, :, 0]) / stride - config.anchor_offset
    first = low.floor().clamp(min=0).long()
    last = high.ceil().clamp(max=length - 1).long()
    return first, (last - first + 1).clamp(min=0)
