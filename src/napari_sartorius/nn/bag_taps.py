"""Which feature vectors, with which weights, make each cell of RoIAlign."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Taps(NamedTuple):
    """Rows of a table of feature vectors, and their weights, (cells, taps) each."""

    row: Tensor
    weight: Tensor


def sample_counts(rois: Tensor, side: int) -> Tensor:
    """Samples (N, 2) along y and x of a cell: its feature pixels, rounded up; 0 without extent.

    Parameters
    ----------
    rois
        (N, 5) float32: image index, then xyxy in feature pixels.
    side
        Cells along each axis.
    """
    size = rois[:, [4, 3]] - rois[:, [2, 1]]
    counts = torch.ceil(size / side).nan_to_num(0.0).clamp(min=0)
    # A box without extent along one axis has no samples at all.
    return torch.where((counts > 0).all(dim=1, keepdim=True), counts, 0).long()


def close_samples(rois: Tensor, side: int, samples: int) -> Tensor:
    """Whether (N, 2) samples of a cell are at most one feature pixel apart, along y and x.

    Parameters
    ----------
    rois
        (N, 5) float32: image index, then xyxy in feature pixels.
    side, samples
        Cells along each axis, and samples along each axis of a cell, at least 1. A single one
        shares nothing with others and is never called close.
    """
    size = rois[:, [4, 3]] - rois[:, [2, 1]]
    return (size >= 0) & (size <= side * samples) & (samples > 1)


def cell_taps(
    rois: Tensor,
    shape: tuple[int, int],
    side: int,
    samples: tuple[int, int],
    close: tuple[bool, bool],
) -> Taps:
    """Taps of cells with equally many samples.

    Each sample has two neighbours along an axis. Where samples are at most one feature pixel apart
    they share them: n samples then reach n + 1 pixels, where taking two of each reads 2 n.

    Parameters
    ----------
    rois
        (N, 5) float32: image index, then xyxy in feature pixels.
    shape
        (height, width) of the map.
    side
        Cells along each axis.
    samples
        Samples of a cell along y and x, the same for all boxes.
    close
        Whether those along y, and those along x, are at most one feature pixel apart.

    Returns
    -------
    Taps
        (N * side * side, taps along y * taps along x) each.
    """
    axes = []
    for axis in (0, 1):
        reads = _merged if close[axis] else _neighbours
        low, high = rois[:, 2 - axis], rois[:, 4 - axis]
        axes.append(reads(low, high, side, samples[axis], shape[axis]))
    (y, y_weight), (x, x_weight) = axes
    return _outer(rois, shape, y, x, y_weight, x_weight)


def _outer(
    rois: Tensor,
    shape: tuple[int, int],
    y: Tensor,
    x: Tensor,
    y_weight: Tensor,
    x_weight: Tensor,
) -> Taps:
    """All pairs of rows and columns, (N, side, taps along the axis) each, of every cell."""
    count, side = y.shape[:2]
    start = rois[:, 0].int() * (shape[0] * shape[1])
    rows = start.view(-1, 1, 1) + y.int() * shape[1]
    grid = rows[:, :, None, :, None] + x.int()[:, None, :, None, :]
    weight = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
    cells, taps = count * side * side, y.shape[2] * x.shape[2]
    return Taps(grid.reshape(cells, taps), weight.reshape(cells, taps))


def _neighbours(
    low: Tensor, high: Tensor, side: int, samples: int, length: int
) -> tuple[Tensor, Tensor]:
    """Neighbours (N, side, 2 * samples) of the samples along one axis, and their mean weights."""
    first, fraction, inside = _samples(low, high, side, samples, length)
    second = torch.clamp(first + 1, max=length - 1)
    weights = torch.stack([1 - fraction, fraction], dim=-1) * (inside / samples)[..., None]
    return torch.stack([first, second], dim=-1).flatten(2), weights.flatten(2)


def _merged(
    low: Tensor, high: Tensor, side: int, samples: int, length: int
) -> tuple[Tensor, Tensor]:
    """Pixels (N, side, samples + 1) that a cell reads along one axis, and their mean weights."""
    if samples == 0:
        nothing = torch.zeros((len(low), side, 1))
        return nothing.long(), nothing
    first, fraction, inside = _samples(low, high, side, samples, length)
    base, weight = first[..., :1], inside / samples
    # Rounding may move a sample one pixel too far; its second neighbour then has no weight.
    step = (first - base).clamp(max=samples)
    weights = torch.zeros((len(low), side, samples + 1))
    weights.scatter_add_(2, step, weight * (1 - fraction))
    weights.scatter_add_(2, (step + 1).clamp(max=samples), weight * fraction)
    return (base + torch.arange(samples + 1)).clamp(max=length - 1), weights


def _samples(
    low: Tensor, high: Tensor, side: int, samples: int, length: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Lower neighbour, share of the upper one, and whether it counts, (N, side, samples) each."""
    # In torchvision's order of operations: far from the origin each rounding is felt.
    cell = ((high - low) / side)[:, None, None]
    start = low[:, None, None] + torch.arange(side)[:, None] * cell
    position = start + (torch.arange(samples) + 0.5) * cell / samples
    inside = (position >= -1) & (position <= length)
    position = position.clamp(min=0, max=length - 1)
    first = position.floor()
    return first.long(), position - first, inside
