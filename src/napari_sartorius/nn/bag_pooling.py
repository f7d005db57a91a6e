"""RoIAlign on the CPU as weighted gathers of whole feature vectors.

Every output cell of RoIAlign is a weighted sum of a few feature vectors. That is what an embedding
bag computes, and its kernel reads whole channels-last vectors where torchvision's walks one channel
at a time. Its gradient is the same sum over the transposed table of taps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from napari_sartorius.nn.bag_taps import even_taps, merged_taps, sample_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_sartorius.nn.bag_taps import Taps

# Taps made at one time; they then stay within the processor's cache.
_CHUNK = 1 << 19


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
        Output cells along each axis, and samples along each axis of a cell; 0 takes as many as a
        cell has feature pixels, rounded up, on each axis of each box.

    Returns
    -------
    Tensor
        (N, C, side, side) float32, channels last in memory.
    """
    channels = features[0].shape[1]
    parts, rows = [], []
    for feature, stride, chosen in zip(
        features, strides, _rows_of(level, len(strides)), strict=True
    ):
        if len(chosen) == 0 and not feature.requires_grad:
            continue
        table = feature.permute(0, 2, 3, 1).reshape(-1, channels).float()
        boxes = rois[chosen]
        boxes[:, 1:] = boxes[:, 1:] * (1.0 / stride) - 0.5
        work = _Work(boxes, (feature.shape[2], feature.shape[3]), side, samples)
        parts.append(_WeightedGather.apply(table, work))
        rows.append(chosen[work.order])
    if not parts:
        return features[0].new_zeros((0, channels, side, side), dtype=torch.float32)
    place = torch.empty_like(level)
    place[torch.cat(rows)] = torch.arange(len(rois))
    pooled = torch.cat(parts).view(len(rois), side * side * channels)[place]
    return pooled.view(len(rois), side, side, channels).permute(0, 3, 1, 2)


def _rows_of(group: Tensor, count: int) -> tuple[Tensor, ...]:
    """Rows of each of `count` groups, in order."""
    return torch.split(
        torch.argsort(group, stable=True), torch.bincount(group, minlength=count).tolist()
    )


class _Work:
    """Which sums make the pooled cells of boxes on one level.

    Attributes
    ----------
    order
        (N,) int64, the boxes in the order in which `chunks` treats them.
    """

    def __init__(self, rois: Tensor, shape: tuple[int, int], side: int, samples: int) -> None:
        self.rois, self.shape, self.side, self.samples = rois, shape, side, samples
        if samples > 0 or len(rois) == 0:
            self.groups = [(torch.arange(len(rois)), (samples, samples))]
        else:
            counts = sample_counts(rois, side)
            kinds, kind = torch.unique(counts, dim=0, return_inverse=True)
            members = _rows_of(kind, len(kinds))
            self.groups = [
                (rows, (int(y), int(x)))
                for rows, (y, x) in zip(members, kinds.tolist(), strict=True)
            ]
        self.order = torch.cat([rows for rows, _ in self.groups])

    def chunks(self) -> Iterator[Taps]:
        """Rows of the table and weights of the cells of some boxes, in `order`."""
        for rows, (y, x) in self.groups:
            cells = self.side**2
            taps = 4 * y * x if self.samples else (y + 1) * (x + 1)
            for part in torch.split(rows, max(1, _CHUNK // (cells * taps))):
                if self.samples:
                    yield even_taps(self.rois[part], self.shape, self.side, y)
                else:
                    yield merged_taps(self.rois[part], self.shape, self.side, (y, x))


class _WeightedGather(torch.autograd.Function):
    """Row i of the result is the sum over t of weight[i, t] * table[index[i, t]]."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, work: _Work) -> Tensor:
        ctx.rows, ctx.taps = len(table), []
        parts = []
        for index, weight in work.chunks():
            parts.append(
                functional.embedding_bag(index, table, per_sample_weights=weight, mode="sum")
            )
            if ctx.needs_input_grad[0]:
                ctx.taps.append((index, weight))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        index = torch.cat([index.flatten() for index, _ in ctx.taps])
        weight = torch.cat([weight.flatten() for _, weight in ctx.taps])
        taps = torch.cat([torch.full((len(i),), i.shape[1]) for i, _ in ctx.taps])
        cell = torch.repeat_interleave(torch.arange(len(taps)), taps)
        by_row = torch.sort(index)
        starts = torch.zeros(ctx.rows, dtype=torch.long)
        torch.cumsum(torch.bincount(index, minlength=ctx.rows)[:-1], 0, out=starts[1:])
        grad = functional.embedding_bag(
            cell[by_row.indices],
            grads[0].contiguous(),
            offsets=starts,
            per_sample_weights=weight[by_row.indices],
            mode="sum",
        )
        return grad, None
