"""Pairs of boxes that overlap by at least a given IoU, found through a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from napari_sartorius.ensemble.near_grid import NearGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Float = TypeVar("_Float", bound=np.floating[Any])


class ClosePairs(NamedTuple):
    """For each of N boxes those that overlap it, each pair in both directions.

    `other` (P,) int64 and `iou` (P,) float are ordered by box, then as the maker says; those of
    box i lie between `ends[i - 1]` and `ends[i]`, `ends` being (N,) int64.
    """

    other: NDArray[np.int64]
    iou: NDArray[np.floating[Any]]
    ends: NDArray[np.int64]


def close_pairs(boxes: NDArray[_Float], labels: NDArray[np.int64], iou: float) -> ClosePairs:
    """Find all pairs of boxes of one label that overlap by at least `iou`.

    Parameters
    ----------
    boxes : (N, 4) float
        xyxy in any unit; boxes without area have no pairs.
    labels : (N,) int64
        Only boxes of one label make pairs.
    iou : float
        0.05 to 1.

    Returns
    -------
    ClosePairs
        Those of each box by descending IoU, then by index.
    """
    solid = np.flatnonzero(((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1))
    grid = NearGrid(boxes[solid].astype(np.float64), labels[solid], iou)
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, boxes.dtype))]
    for first, second in grid.pairs():
        overlap = pair_iou(boxes[solid[first]], boxes[solid[second]])
        enough = overlap >= iou
        found.append((solid[first[enough]], solid[second[enough]], overlap[enough]))
    box, other, overlap = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((other, -overlap, box))
    ends = np.cumsum(np.bincount(box, minlength=len(boxes)))
    return ClosePairs(other[order], overlap[order], ends)


def pair_iou(a: NDArray[_Float], b: NDArray[_Float]) -> NDArray[_Float]:
    """Intersection over union of P pairs of boxes, (P, 4) xyxy each; (P,), 0 without area."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    area_a = (a[:, 2:] - a[:, :2]).prod(axis=1)
    area_b = (b[:, 2:] - b[:, :2]).prod(axis=1)
    union = np.maximum(area_a + area_b - shared, np.finfo(a.dtype).tiny)
    result: NDArray[_Float] = (shared / union).astype(a.dtype)
    return result
