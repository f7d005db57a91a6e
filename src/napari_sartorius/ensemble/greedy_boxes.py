"""Joins boxes one by one to the running mean that they overlap most, without comparing them all.

What weighted boxes fusion, weighted masks fusion and non-maximum weighting have in common. The
result depends on the order and on how each mean moves, so boxes are taken one at a time; but each
is compared only with the means around it that can overlap it enough, see `near_grid`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.ensemble.near_grid import NearGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray


def greedy_clusters(
    boxes: NDArray[np.float64],
    weights: NDArray[np.float64],
    labels: NDArray[np.int64],
    order: NDArray[np.int64],
    iou: float,
    *,
    moving: bool = True,
) -> NDArray[np.int64]:
    """Join each box to the cluster whose mean it overlaps most, or begin a new cluster.

    Parameters
    ----------
    boxes : (N, 4) float64
        xyxy in any unit, with positive sides.
    weights : (N,) float64
        Share of each box in the mean of its cluster, at least 0. Several zeros have no mean, and
        nothing more joins them.
    labels : (N,) int64
        Only boxes of one label are joined.
    order : (K,) int64
        Which boxes, and in which order.
    iou : float
        A box joins where it overlaps more than this, at least `near_grid.LOWEST_IOU`.
    moving : bool
        Whether the box of a cluster is the weighted mean of its members, or stays the first one.

    Returns
    -------
    (N,) int64
        Cluster of each box, numbered from 0 by its first member; -1 for boxes not in `order`.

    Raises
    ------
    ValueError
        If `iou` is out of its range.
    """
    grid = NearGrid(boxes[order], labels[order], iou)
    means = _Means(grid)
    result = []
    for box, weight, label, keys in zip(
        boxes[order].tolist(), weights[order].tolist(), grid.labels, grid.keys(), strict=True
    ):
        winner = means.nearest(box, keys, iou)
        if winner < 0:
            winner = means.begin(box, weight, label)
        elif moving:
            means.join(winner, box, weight, label)
        result.append(winner)
    cluster = np.full(len(boxes), -1, np.int64)
    cluster[order] = result
    return cluster


class _Means:
    """Running means of clusters, each kept in the cell of the grid where its centre lies.

    Plain lists and floats: on a handful of neighbours they are several times as fast as arrays.
    """

    def __init__(self, grid: NearGrid) -> None:
        self._grid = grid
        self._cells: dict[int, list[int]] = {}
        self._boxes: list[tuple[float, float, float, float, float]] = []
        self._sums: list[tuple[float, float, float, float, float]] = []
        self._places: list[int] = []

    def nearest(self, box: list[float], keys: list[int], iou: float) -> int:
        """Cluster that the box overlaps most and more than `iou`, the earliest of equals; or -1."""
        x0, y0, x1, y1 = box
        area = (x1 - x0) * (y1 - y0)
        boxes, cells = self._boxes, self._cells
        best, winner = iou, -1
        for key in keys:
            for candidate in cells.get(key, ()):
                u0, v0, u1, v1, other = boxes[candidate]
                width = (u1 if u1 < x1 else x1) - (u0 if u0 > x0 else x0)
                if width <= 0:
                    continue
                height = (v1 if v1 < y1 else y1) - (v0 if v0 > y0 else y0)
                if height <= 0:
                    continue
                shared = width * height
                overlap = shared / (area + other - shared)
                if overlap > best or (overlap == best and candidate < winner):
                    best, winner = overlap, candidate
        return winner

    def begin(self, box: list[float], weight: float, label: int) -> int:
        """Make a cluster of one box and return its number."""
        number = len(self._boxes)
        x0, y0, x1, y1 = box
        area = (x1 - x0) * (y1 - y0)
        self._boxes.append((x0, y0, x1, y1, area))
        self._sums.append((weight * x0, weight * y0, weight * x1, weight * y1, weight))
        place = self._grid.place(x0 + x1, y0 + y1, area, label)
        self._places.append(place)
        self._cells.setdefault(place, []).append(number)
        return number

    def join(self, number: int, box: list[float], weight: float, label: int) -> None:
        """Take one box into the mean of a cluster."""
        a, b, c, d, total = self._sums[number]
        a += weight * box[0]
        b += weight * box[1]
        c += weight * box[2]
        d += weight * box[3]
        total += weight
        self._sums[number] = (a, b, c, d, total)
        if not total:
            self._cells[self._places[number]].remove(number)
            return
        x0, y0, x1, y1 = a / total, b / total, c / total, d / total
        area = (x1 - x0) * (y1 - y0)
        self._boxes[number] = (x0, y0, x1, y1, area)
        place = self._grid.place(x0 + x1, y0 + y1, area, label)
        if place != self._places[number]:
            self._cells[self._places[number]].remove(number)
            self._cells.setdefault(place, []).append(number)
            self._places[number] = place
