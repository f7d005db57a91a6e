"""RoIAlign on the CPU as weighted gathers of whole feature vectors.

Every output cell of RoIAlign is a weighted sum of a few feature vectors. That is what an embedding
bag computes, and its kernel reads whole channels-last vectors where torchvision's walks one channel
at a time. Its gradient is the same sum over the transposed table of taps.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.utils.weak import WeakIdKeyDictionary

from napari_sartorius.nn.bag_taps import cell_taps, close_samples, sample_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_sartorius.nn.bag_taps import Taps

# Taps made at one time; they then stay within the processor's cache.
_CHUNK = 1 << 18
# Rounded maps that still exist -> their feature vectors in float32. Every stage of a network reads
# the same maps, and converting them costs as much as gathering from them.
_ROWS: WeakIdKeyDictionary = WeakIdKeyDictionary()


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
    tables, works = [], []
    for feature, stride, chosen in zip(
        features, strides, _rows_of(level, len(strides)), strict=True
    ):
        tables.append(_rows(feature))
        boxes = rois[chosen]
        boxes[:, 1:] = boxes[:, 1:] * (1.0 / stride) - 0.5
        works.append(_Work(boxes, chosen, (feature.shape[2], feature.shape[3]), side, samples))
    pooled: Tensor = _WeightedGather.apply(len(rois), works, *tables)
    return pooled.view(len(rois), side, side, channels).permute(0, 3, 1, 2)


def _rows(feature: Tensor) -> Tensor:
    """Feature vectors (B * H * W, C) float32 of a map (B, C, H, W)."""
    rows = feature.permute(0, 2, 3, 1).reshape(-1, feature.shape[1])
    if rows.dtype == torch.float32:
        return rows
    known: Tensor | None = _ROWS.get(feature)  # type: ignore[no-untyped-call]
    # What was made without gradients would cut off those of a loss.
    learns = feature.requires_grad and torch.is_grad_enabled()
    if known is None or known.requires_grad != learns:
        known = _ROWS[feature] = rows.float()
    return known


def _rows_of(group: Tensor, count: int) -> tuple[Tensor, ...]:
    """Rows of each of `count` groups, in order."""
    return torch.split(
        torch.argsort(group, stable=True), torch.bincount(group, minlength=count).tolist()
    )


class _Work:
    """Which sums make the pooled cells of the boxes on one level."""

    def __init__(
        self, rois: Tensor, rows: Tensor, shape: tuple[int, int], side: int, samples: int
    ) -> None:
        self.rois, self.rows, self.shape = rois, rows, shape
        self.side, self.samples = side, samples

    def chunks(self) -> Iterator[tuple[Tensor, Taps]]:
        """Some boxes, by their place in the result, and the taps of their cells."""
        cells = self.side**2
        for members, samples, close in self._groups():
            taps = 1
            for count, is_close in zip(samples, close, strict=True):
                taps *= count + 1 if is_close else 2 * count
            for part in torch.split(members, max(1, _CHUNK // (cells * taps))):
                made = cell_taps(self.rois[part], self.shape, self.side, samples, close)
                yield self.rows[part], made

    def _groups(self) -> list[tuple[Tensor, tuple[int, int], tuple[bool, bool]]]:
        """Boxes alike: their samples along y and x, and whether these share feature pixels."""
        if len(self.rois) == 0:
            return []
        if self.samples:
            kind_of = close_samples(self.rois, self.side, self.samples).long()
        else:
            kind_of = sample_counts(self.rois, self.side)
        kinds, kind = torch.unique(kind_of, dim=0, return_inverse=True)
        members = zip(_rows_of(kind, len(kinds)), kinds.tolist(), strict=True)
        if self.samples:
            even = (self.samples, self.samples)
            return [(rows, even, (bool(y), bool(x))) for rows, (y, x) in members]
        return [(rows, (int(y), int(x)), (True, True)) for rows, (y, x) in members]


class _WeightedGather(torch.autograd.Function):
    """Each cell of each box is a weighted sum of rows of its level's table."""

    @staticmethod
    def forward(ctx: Any, count: int, works: list[_Work], *tables: Tensor) -> Tensor:
        cells, channels = works[0].side ** 2, tables[0].shape[1]
        ctx.rows, ctx.taps = [len(table) for table in tables], []
        ctx.cells, ctx.channels = cells, channels
        pooled = tables[0].new_empty((count, cells * channels))
        for table, work in zip(tables, works, strict=True):
            done = []
            for boxes, taps in work.chunks():
                sums = functional.embedding_bag(
                    taps.row, table, per_sample_weights=taps.weight, mode="sum"
                )
                pooled[boxes] = sums.view(len(boxes), -1)
                if any(ctx.needs_input_grad):
                    done.append((boxes, taps))
            ctx.taps.append(done)
        return pooled

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        slope = grads[0].reshape(len(grads[0]) * ctx.cells, ctx.channels)
        return None, None, *map(partial(_scattered, slope, ctx.cells), ctx.rows, ctx.taps)


def _scattered(slope: Tensor, cells: int, rows: int, done: list[tuple[Tensor, Taps]]) -> Tensor:
    """Gradient of a table of `rows` rows: the same sums over the transposed taps."""
    if not done:
        return slope.new_zeros((rows, slope.shape[1]))
    row = torch.cat([taps.row.flatten() for _, taps in done])
    weight = torch.cat([taps.weight.flatten() for _, taps in done])
    inside = torch.arange(cells)
    cell = torch.cat(
        [
            (boxes[:, None] * cells + inside).flatten().repeat_interleave(taps.row.shape[1])
            for boxes, taps in done
        ]
    )
    by_row = torch.sort(row)
    starts = torch.zeros(rows, dtype=torch.long)
    torch.cumsum(torch.bincount(row, minlength=rows)[:-1], 0, out=starts[1:])
    return functional.embedding_bag(
        cell[by_row.indices],
        slope,
        offsets=starts,
        per_sample_weights=weight[by_row.indices],
        mode="sum",
    )
