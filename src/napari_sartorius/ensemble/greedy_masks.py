"""Joins masks one by one to the cluster whose first mask they overlap most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks


def greedy_mask_clusters(
    masks: CropMasks, labels: NDArray[np.int64], iou: float
) -> NDArray[np.int64]:
    """Join each mask to the cluster whose first mask it overlaps most, or begin a new cluster.

    Parameters
    ----------
    masks : CropMasks
        N masks in the order in which they are taken, best first.
    labels : (N,) int64
        Only masks of one label are joined.
    iou : float
        A mask joins where its IoU exceeds this, 0..1.

    Returns
    -------
    (N,) int64
        Cluster of each mask, numbered from 0 by its first member; -1 for empty masks.
    """
    seeds = _Seeds(masks)
    kinds = labels.tolist()
    result = np.full(len(masks), -1, np.int64)
    for i in np.flatnonzero(masks.area()).tolist():
        winner = seeds.nearest(i, kinds, iou)
        result[i] = seeds.begin(i) if winner < 0 else winner
    return result


class _Seeds:
    """First masks of the clusters, found by the squares of the image that their boxes touch.

    A square is about as large as the boxes, so that a box touches few squares and a square few
    first masks, however many objects there are.
    """

    def __init__(self, masks: CropMasks) -> None:
        self._boxes = masks.boxes.tolist()
        self._areas = masks.area().tolist()
        self._offsets = masks.offsets.tolist()
        self._set = masks.bits.view(np.bool_)
        sides = masks.boxes[:, 2:] - masks.boxes[:, :2]
        self._square = max(int(sides.mean()), 1) if len(masks) else 1
        self._squares: dict[tuple[int, int], list[int]] = {}
        self._masks: list[int] = []

    def begin(self, i: int) -> int:
        """Make mask `i` the first of a cluster and return its number."""
        number = len(self._masks)
        self._masks.append(i)
        for square in self._touched(i):
            self._squares.setdefault(square, []).append(number)
        return number

    def nearest(self, i: int, labels: list[int], iou: float) -> int:
        """Cluster whose first mask `i` overlaps most and more than `iou`, or -1.

        The earliest of equals. Most candidates are refused by their boxes and areas alone.
        """
        near = {n for square in self._touched(i) for n in self._squares.get(square, ())}
        boxes, areas = self._boxes, self._areas
        x0, y0, x1, y1 = boxes[i]
        area = areas[i]
        best, winner = iou, -1
        for number in sorted(near):
            first = self._masks[number]
            u0, v0, u1, v1 = boxes[first]
            width = (u1 if u1 < x1 else x1) - (u0 if u0 > x0 else x0)
            height = (v1 if v1 < y1 else y1) - (v0 if v0 > y0 else y0)
            if width <= 0 or height <= 0 or labels[first] != labels[i]:
                continue
            total = area + areas[first]
            most = min(width * height, area, areas[first])
            if most > best * (total - most):
                shared = self._shared(i, first)
                overlap = shared / (total - shared)
                if overlap > best:
                    best, winner = overlap, number
        return winner

    def _shared(self, i: int, j: int) -> int:
        """Pixels that two masks share whose boxes overlap."""
        ax0, ay0, ax1, ay1 = self._boxes[i]
        bx0, by0, bx1, by1 = self._boxes[j]
        x0, y0, x1, y1 = max(ax0, bx0), max(ay0, by0), min(ax1, bx1), min(ay1, by1)
        a = self._bitmap(i)[y0 - ay0 : y1 - ay0, x0 - ax0 : x1 - ax0]
        b = self._bitmap(j)[y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0]
        return int(np.count_nonzero(a & b))

    def _touched(self, i: int) -> list[tuple[int, int]]:
        x0, y0, x1, y1 = self._boxes[i]
        side = self._square
        rows = range(y0 // side, (y1 - 1) // side + 1)
        return [(y, x) for y in rows for x in range(x0 // side, (x1 - 1) // side + 1)]

    def _bitmap(self, i: int) -> NDArray[np.bool_]:
        x0, y0, x1, y1 = self._boxes[i]
        piece = self._set[self._offsets[i] : self._offsets[i + 1]]
        return piece.reshape(y1 - y0, x1 - x0)
