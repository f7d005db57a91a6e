"""RoIAlign on the CPU as one weighted gather over all pyramid levels.

With a fixed number of samples, every output cell of RoIAlign is a weighted sum of a few feature
vectors. That is what an embedding bag computes, and its kernel reads whole channels-last vectors
where torchvision's walks one channel at a time. Its gradient is the same sum over the transposed
table of taps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

# Boxes pooled at one time; their taps then stay within the processor's cache.
_CHUNK = 512


def bag_pool(
    features: list[Tensor],
    strides: tuple[int, ...],
    level: Tensor,
    rois: Tensor,
    side: int,
    samples: int,
) -> Tensor:
    """RoIAlign with half-pixel alignment (He et al. 2017; aligned as in detectron2).

    Parameters
    ----------
    features
        Pyramid levels (B, C, H_l, W_l), one per stride.
    strides
        Network pixels per feature pixel of each level.
    level
        (N,) int64, the level that each box is read from.
    rois
        (N, 5) float32: image index, then xyxy in network pixels.
    side, samples
        Output cells along each axis, and samples along each axis of a cell, at least 1.

    Returns
    -------
    Tensor
        (N, C, side, side) float32, channels last in memory.
    """
    channels = features[0].shape[1]
    table = torch.cat([f.permute(0, 2, 3, 1).reshape(-1, channels) for f in features]).float()
    sizes = torch.tensor([f.shape[2:] for f in features])
    starts = torch.tensor([0, *(len(f) * f.shape[2] * f.shape[3] for f in features)]).cumsum(0)
    place = _Place(starts[level], sizes[level], 1.0 / torch.tensor(strides)[level])
    parts = []
    for begin in range(0, len(rois), _CHUNK):
        chunk = slice(begin, begin + _CHUNK)
        index, weight = _taps(rois[chunk], place.of(chunk), side, samples)
        parts.append(_WeightedGather.apply(table, index, weight))
    if not parts:
        return table.new_zeros((0, channels, side, side)) + table.sum() * 0
    pooled = torch.cat(parts).view(len(rois), side, side, channels)
    return pooled.permute(0, 3, 1, 2)


class _Place:
    """For each box: first row of its level in the table, (height, width) of the map, scale."""

    def __init__(self, start: Tensor, size: Tensor, scale: Tensor) -> None:
        self.start, self.size, self.scale = start, size, scale

    def of(self, chunk: slice) -> _Place:
        return _Place(self.start[chunk], self.size[chunk], self.scale[chunk])


def _taps(rois: Tensor, place: _Place, side: int, samples: int) -> tuple[Tensor, Tensor]:
    """Rows of the table and weights, (N * side * side, 4 * samples ** 2) each."""
    count, per_axis = len(rois), 2 * samples
    boxes = rois[:, 1:] * place.scale[:, None] - 0.5
    steps = (torch.arange(side * samples) + 0.5) / (side * samples)
    x, x_weight = _axis(boxes[:, 0:1], boxes[:, 2:3], steps, place.size[:, 1:2])
    y, y_weight = _axis(boxes[:, 1:2], boxes[:, 3:4], steps, place.size[:, 0:1])
    width = place.size[:, 1].view(-1, 1, 1)
    image = rois[:, 0].long().view(-1, 1, 1) * place.size.prod(dim=1).view(-1, 1, 1)
    rows = (place.start.view(-1, 1, 1) + image + y * width).int()
    index = rows.view(count, side, 1, per_axis, 1) + x.int().view(count, 1, side, 1, per_axis)
    weight = y_weight.view(count, side, 1, per_axis, 1) * x_weight.view(count, 1, side, 1, per_axis)
    taps = per_axis * per_axis
    return index.reshape(-1, taps), (weight / samples**2).reshape(-1, taps)


def _axis(low: Tensor, high: Tensor, steps: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """Neighbours (N, S, 2) of the S samples along one axis and their linear weights."""
    position = low + (high - low) * steps
    inside = (position >= -1) & (position <= length)
    position = torch.minimum(position.clamp(min=0), length - 1.0)
    first = position.floor()
    fraction = position - first
    first = first.long()
    second = torch.minimum(first + 1, length - 1)
    weights = torch.stack([1 - fraction, fraction], dim=-1) * inside[..., None]
    return torch.stack([first, second], dim=-1), weights


class _WeightedGather(torch.autograd.Function):
    """Row i of the result is the sum over t of weight[i, t] * table[index[i, t]]."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.rows = len(table)
        return functional.embedding_bag(index, table, per_sample_weights=weight, mode="sum")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        index, weight = ctx.saved_tensors
        order_by_row = torch.sort(index.flatten())
        starts = torch.zeros(ctx.rows, dtype=torch.long)
        counts = torch.bincount(order_by_row.values, minlength=ctx.rows)
        torch.cumsum(counts[:-1], 0, out=starts[1:])
        source = torch.div(order_by_row.indices, index.shape[1], rounding_mode="floor")
        grad = functional.embedding_bag(
            source,
            grads[0].contiguous(),
            offsets=starts,
            per_sample_weights=weight.flatten()[order_by_row.indices],
            mode="sum",
        )
        return grad, None, None
