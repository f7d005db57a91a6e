"""Where every object of a plane is, kept up to date change by change instead of searched again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.labels import label_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""First row, first column, last row + 1, last column + 1."""


class BoxIndex:
    """The tight box and the area of every object of one plane.

    Parameters
    ----------
    plane : (H, W) int
        A label image; read once, and not kept.
    """

    def __init__(self, plane: NDArray[Any]) -> None:
        runs, ids = label_runs(plane)
        self._boxes: dict[int, Box] = {}
        self._areas: dict[int, int] = {}
        if not len(ids):
            return
        first = np.flatnonzero(np.diff(runs.instance, prepend=-1))
        extents = (
            np.minimum.reduceat(runs.line, first),
            np.minimum.reduceat(runs.start, first),
            np.maximum.reduceat(runs.line, first) + 1,
            np.maximum.reduceat(runs.stop, first),
        )
        self._boxes = dict(
            zip(ids.tolist(), zip(*(e.tolist() for e in extents), strict=True), strict=True)
        )
        areas = np.add.reduceat(runs.stop - runs.start, first)
        self._areas = dict(zip(ids.tolist(), areas.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self._boxes)

    def __contains__(self, label: object) -> bool:
        return label in self._boxes

    def __iter__(self) -> Iterator[int]:
        return iter(self._boxes)

    def __getitem__(self, label: int) -> Box:
        return self._boxes[label]

    def area(self, label: int) -> int:
        """Return the number of pixels of an object; 0 when it is not in the plane."""
        return self._areas.get(label, 0)

    def update(
        self,
        plane: NDArray[Any],
        y: NDArray[np.int64],
        x: NDArray[np.int64],
        before: NDArray[Any],
    ) -> None:
        """Take over changes that were made to the plane.

        Parameters
        ----------
        plane : (H, W) int
            As it is after the changes.
        y, x : (N,) int64
            The changed pixels, none twice.
        before : (N,) int
            Their labels before.
        """
        after = plane[y, x]
        for label, count, box in _extents(after, y, x):
            old = self._boxes.get(label)
            self._boxes[label] = box if old is None else _union(old, box)
            self._areas[label] = self._areas.get(label, 0) + count
        for label, count, box in _extents(before, y, x):
            left = self._areas.get(label, 0) - count
            if left <= 0:
                self._areas.pop(label, None)
                self._boxes.pop(label, None)
                continue
            self._areas[label] = left
            old = self._boxes[label]
            if any(a == b for a, b in zip(old, box, strict=True)):  # something of its border went
                self._boxes[label] = _tight(plane, old, label)


def _extents(
    labels: NDArray[Any], y: NDArray[np.int64], x: NDArray[np.int64]
) -> Iterator[tuple[int, int, Box]]:
    """Yield each label but 0 with its number of pixels and their box."""
    order = np.argsort(labels, kind="stable")
    labels, y, x = labels[order], y[order], x[order]
    if not len(labels):
        return
    first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    counts = np.diff(np.r_[first, len(labels)])
    tops, bottoms = np.minimum.reduceat(y, first), np.maximum.reduceat(y, first)
    lefts, rights = np.minimum.reduceat(x, first), np.maximum.reduceat(x, first)
    for i, label in enumerate(labels[first].tolist()):
        if label:
            box = (int(tops[i]), int(lefts[i]), int(bottoms[i]) + 1, int(rights[i]) + 1)
            yield int(label), int(counts[i]), box


def _union(first: Box, second: Box) -> Box:
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


def _tight(plane: NDArray[Any], box: Box, label: int) -> Box:
    y0, x0, y1, x1 = box
    mask = plane[y0:y1, x0:x1] == label
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        y0 + int(rows[0]),
        x0 + int(columns[0]),
        y0 + int(rows[-1]) + 1,
        x0 + int(columns[-1]) + 1,
    )
