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


def even_taps(rois: Tensor, shape: tuple[int, int], side: int, samples: int) -> Taps:
    """Taps of cells with equally many samples along both axes, four neighbours each.

    Parameters
    ----------
    rois
        (N, 5) float32: image index, then xyxy in feature pixels.
    shape
        (height, width) of the map.
    side, samples
        Cells along each axis, and samples along each axis of a cell, at least 1.

    Returns
    -------
    Taps
        (N * side * side, 4 * samples ** 2) each.
    """
    y, y_weight = _neighbours(rois[:, 2], rois[:, 4], side, samples, shape[0])
    x, x_weight = _neighbours(rois[:, 1], rois[:, 3], side, samples, shape[1])
    grid = len(rois), side, 2 * samples
    taps = _outer(rois, shape, y.view(grid), x.view(grid), y_weight.view(grid), x_weight.view(grid))
    return Taps(taps.row, taps.weight / samples**2)


def merged_taps(rois: Tensor, shape: tuple[int, int], side: int, samples: tuple[int, int]) -> Taps:
    """Taps of cells whose samples are at most one feature pixel apart.

    Neighbouring samples then share feature pixels: n samples reach n + 1 of them along an axis,
    where taking four neighbours of each would read up to 2 n.

    Parameters
    ----------
    rois, shape, side
        As for `even_taps`.
    samples
        Samples of a cell along y and x as `sample_counts` gives them, the same for all boxes.

    Returns
    -------
    Taps
        (N * side * side, (y + 1) * (x + 1)) each.
    """
    y, y_weight = _merged(rois[:, 2], rois[:, 4], side, samples[0], shape[0])
    x, x_weight = _merged(rois[:, 1], rois[:, 3], side, samples[1], shape[1])
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
    """Neighbours (N, side, samples, 2) of the samples along one axis, and linear weights."""
    first, fraction, inside = _samples(low, high, side, samples, length)
    second = torch.clamp(first + 1, max=length - 1)
    weights = torch.stack([1 - fraction, fraction], dim=-1) * inside[..., None]
    return torch.stack([first, second], dim=-1), weights


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
