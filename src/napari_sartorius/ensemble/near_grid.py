"""A grid that knows which boxes can overlap a given one by more than a given IoU.

Two boxes whose IoU exceeds t have areas within a factor t of each other, and centres no further
apart, along either axis, than (1 - t) / (2 t) of the side of either. So boxes are kept by label,
by the order of magnitude of their area and by the cell in which the centre lies, cells being about
as large as the boxes. A few cells then hold all that is worth comparing, at any density and for
any mixture of sizes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LOWEST_IOU = 0.05
"""Below this the grid would not help, and nobody would call the boxes the same."""

# Room for rounding: what the bounds let through is compared exactly by the caller.
_SLACK = 1e-6
# Most cells along a side of the whole, so that keys fit into 64 bits.
_FINEST = 1 << 18
_CHUNK_BOXES = 1 << 12


class NearGrid:
    """Keys of the cells around each of K boxes.

    Parameters
    ----------
    boxes : (K, 4) float64
        xyxy in any unit, with positive sides.
    labels : (K,) int64
        Boxes of different labels are never near each other.
    iou : float
        The overlap that makes boxes worth comparing, `LOWEST_IOU` to 1.

    Raises
    ------
    ValueError
        If `iou` is out of its range.
    """

    labels: list[int]
    """Labels of the boxes, numbered from 0 without gaps."""

    def __init__(self, boxes: NDArray[np.float64], labels: NDArray[np.int64], iou: float) -> None:
        if not LOWEST_IOU <= iou <= 1:
            raise ValueError(f"expected an IoU from {LOWEST_IOU} to 1, got {iou}")
        self._boxes = boxes
        # Boxes at one time; at a low overlap each looks into many cells.
        share = min(1.0, iou / 0.3) ** 2
        self._chunk = math.ceil(_CHUNK_BOXES * share)
        self._numbers = np.unique(labels, return_inverse=True)[1].reshape(-1)
        self.labels = self._numbers.tolist()
        self._reach = (1 - iou) / (2 * iou) + _SLACK
        # What overlaps a box enough is then of its magnitude or of one next to it.
        base = max(2.0, (1 + _SLACK) ** 4 / iou)
        self._per_log_area = 0.5 / math.log(base)
        self._spread = (math.log(1 / iou) + 2 * _SLACK) * self._per_log_area
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1, dtype=np.float64)
        self._exact = np.log(areas) * self._per_log_area
        self._left, self._top = boxes[:, :2].min(axis=0, initial=np.inf).tolist()
        extent = float((boxes[:, 2:] - [self._left, self._top]).max(initial=1e-300))
        lowest = float(self._exact.min(initial=np.inf)) if len(boxes) else 0.0
        lowest = max(lowest, math.log(extent / _FINEST) / math.log(base))
        self._lowest = math.floor(lowest)
        highest = math.floor(float(self._exact.max(initial=lowest)))
        self._magnitudes = max(highest - self._lowest, 0) + 1
        self._scales = [base ** -(self._lowest + i + 1) for i in range(self._magnitudes)]
        self._pitch = int(extent * self._scales[0]) + 1

    def place(self, twice_x: float, twice_y: float, area: float, label: int) -> int:
        """Key of the cell of any box, given twice its centre, its area and its label's number."""
        magnitude = math.floor(math.log(area) * self._per_log_area) - self._lowest
        magnitude = min(max(magnitude, 0), self._magnitudes - 1)
        scale = self._scales[magnitude]
        column = int((0.5 * twice_x - self._left) * scale)
        row = int((0.5 * twice_y - self._top) * scale)
        return ((label * self._magnitudes + magnitude) * self._pitch + row) * self._pitch + column

    def keys(self) -> Iterator[list[int]]:
        """For each box, the cells in which boxes lie that may overlap it enough."""
        for chunk in self._chunks():
            keys, ends = self._keys_of(chunk)
            listed, begin = keys.tolist(), 0
            for end in ends.tolist():
                yield listed[begin:end]
                begin = end

    def pairs(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Pairs i < j of boxes that may overlap enough, some boxes at a time."""
        if not len(self._boxes):
            return
        own = np.concatenate([self._places_of(chunk) for chunk in self._chunks()])
        by_key = np.argsort(own, kind="stable")
        sorted_keys = own[by_key]
        for chunk in self._chunks():
            keys, ends = self._keys_of(chunk)
            low = np.searchsorted(sorted_keys, keys, side="left")
            count = np.searchsorted(sorted_keys, keys, side="right") - low
            box = np.arange(chunk.start, chunk.start + len(ends))
            box = np.repeat(np.repeat(box, np.diff(ends, prepend=0)), count)
            skip = np.repeat(low - (np.cumsum(count) - count), count)
            other = by_key[np.arange(len(skip)) + skip]
            later = other > box
            yield box[later], other[later]

    def _chunks(self) -> Iterator[slice]:
        for start in range(0, len(self._boxes), self._chunk):
            yield slice(start, start + self._chunk)

    def _places_of(self, chunk: slice) -> NDArray[np.int64]:
        """Keys of the cells in which some boxes lie, (K,)."""
        magnitude = np.floor(self._exact[chunk]).astype(np.int64) - self._lowest
        magnitude = np.clip(magnitude, 0, self._magnitudes - 1)
        scale = np.array(self._scales)[magnitude]
        centre = 0.5 * (self._boxes[chunk, :2] + self._boxes[chunk, 2:]) - [self._left, self._top]
        cell = (centre * scale[:, None]).astype(np.int64)
        block = self._numbers[chunk] * self._magnitudes + magnitude
        keys: NDArray[np.int64] = (block * self._pitch + cell[:, 1]) * self._pitch + cell[:, 0]
        return keys

    def _keys_of(self, chunk: slice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys of the cells around some boxes, box by box, and where those of each box end."""
        exact, boxes = self._exact[chunk, None], self._boxes[chunk]
        # Two magnitudes per box, (K, 2); where they are the same, the second has no cells.
        spread = np.array([-self._spread, self._spread])
        magnitude = np.floor(exact + spread).astype(np.int64)
        magnitude = np.clip(magnitude - self._lowest, 0, self._magnitudes - 1)
        scale = np.array(self._scales)[magnitude]
        columns, rows = (
            self._span(boxes[:, axis], boxes[:, axis + 2], origin, scale)
            for axis, origin in enumerate((self._left, self._top))
        )
        width, height = (span[1] - span[0] + 1 for span in (columns, rows))
        count = width * height
        count[magnitude[:, 0] == magnitude[:, 1], 1] = 0
        block = self._numbers[chunk, None] * self._magnitudes + magnitude
        corner = (block * self._pitch + rows[0]) * self._pitch + columns[0]
        flat = count.reshape(-1)
        within = np.arange(flat.sum()) - np.repeat(np.cumsum(flat) - flat, flat)
        row, column = np.divmod(within, np.repeat(width.reshape(-1), flat))
        keys = np.repeat(corner.reshape(-1), flat) + row * self._pitch + column
        return keys, np.cumsum(count.sum(axis=1))

    def _span(
        self,
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        origin: float,
        scale: NDArray[np.float64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last cell along one axis, (K, 2) each, that may hold a near centre."""
        centre = 0.5 * (low + high)[:, None] - origin
        reach = self._reach * (high - low)[:, None]
        first = np.floor((centre - reach) * scale).astype(np.int64)
        last = np.floor((centre + reach) * scale).astype(np.int64)
        end = self._pitch - 1
        return np.clip(first, 0, end), np.clip(last, 0, end)
