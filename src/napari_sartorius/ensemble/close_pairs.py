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
        first, second = solid[first], solid[second]
        overlap = pair_iou(boxes[first], boxes[second])
        enough = overlap >= iou
        found.append((first[enough], second[enough], overlap[enough]))
    a, b, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    box, other, overlap = np.append(a, b), np.append(b, a), np.append(value, value)
    order = np.lexsort((other, -overlap, box))
    ends = np.cumsum(np.bincount(box, minlength=len(boxes)))
    return ClosePairs(other[order], overlap[order], ends)


def pair_iou(a: NDArray[_Float], b: NDArray[_Float]) -> NDArray[_Float]:
    """Intersection over union of P pairs of boxes, (P, 4) xyxy each; (P,), 0 without area."""
    left, top, right, bottom = a.T
    left_b, top_b, right_b, bottom_b = b.T
    width = np.minimum(right, right_b) - np.maximum(left, left_b)
    height = np.minimum(bottom, bottom_b) - np.maximum(top, top_b)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area_a, area_b = (right - left) * (bottom - top), (right_b - left_b) * (bottom_b - top_b)
    union = np.maximum(area_a + area_b - shared, np.finfo(a.dtype).tiny)
    result: NDArray[_Float] = (shared / union).astype(a.dtype)
    return result
