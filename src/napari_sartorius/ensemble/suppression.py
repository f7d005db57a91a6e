"""Keeps the best of boxes that overlap: non-maximum suppression, hard and soft, on plain arrays."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sartorius.core.overlap import overlapping_boxes
from napari_sartorius.ensemble.close_pairs import close_pairs, pair_iou

if TYPE_CHECKING:
    from numpy.typing import NDArray


def box_nms(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    iou: float = 0.5,
) -> NDArray[np.int64]:
    """Keep the best box, drop what overlaps it by more than `iou`, go on with the rest.

    Parameters
    ----------
    boxes : (N, 4) float
        xyxy in any unit; boxes without area are dropped.
    scores : (N,) float
        Of several looks, each look's scores times its weight over the sum of weights.
    labels : (N,) int
        Only boxes of one label suppress each other.
    iou : float
        0.05 to 1.

    Returns
    -------
    (K,) int64
        Indices of the kept boxes, best score first, equals as they stand.
    """
    pairs = close_pairs(boxes, labels, iou)
    other, ends = pairs.other[pairs.iou > iou].tolist(), _ends_above(pairs.iou > iou, pairs.ends)
    solid = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    alive: list[bool] = solid.tolist()
    kept = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if alive[i]:
            kept.append(i)
            for j in other[ends[i] : ends[i + 1]]:
                alive[j] = False
    return np.array(kept, np.int64)


def _ends_above(above: NDArray[np.bool_], ends: NDArray[np.int64]) -> list[int]:
    """Where the pairs of each box begin, and the total, when only those `above` are left."""
    return [0, *np.append(0, np.cumsum(above))[ends].tolist()]


def soft_nms(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    method: Literal["gaussian", "linear"] = "gaussian",
    iou: float = 0.5,
    sigma: float = 0.5,
    min_score: float = 0.001,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Take the best box, lower the scores of what overlaps it, go on with the best of the rest.

    Bodla et al. 2017, "Soft-NMS: improving object detection with one line of code".

    Parameters
    ----------
    boxes, scores, labels
        As for `box_nms`; pixels, so that what cannot overlap is found fast.
    method : str
        ``gaussian`` multiplies by exp(-IoU^2 / sigma), ``linear`` by 1 - IoU above `iou`.
    iou, sigma : float
        See `method`.
    min_score : float
        Boxes whose lowered score exceeds this are kept.

    Returns
    -------
    kept : (K,) int64
        Indices of the kept boxes in the order of being taken.
    lowered : (K,) float64
        Their lowered scores, descending.
    """
    neighbours = _overlapping(boxes, labels)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    left = scores.astype(np.float64).tolist()
    taken = (area <= 0).tolist()
    heap = [(-score, i) for i, score in enumerate(left) if not taken[i]]
    heapq.heapify(heap)
    kept = []
    while heap:
        score, i = heapq.heappop(heap)
        if taken[i] or -score != left[i]:
            continue
        taken[i] = True
        if left[i] > min_score:
            kept.append(i)
        for j, overlap in neighbours.get(i, ()):
            if taken[j] or (method == "linear" and overlap <= iou):
                continue
            left[j] *= math.exp(-overlap * overlap / sigma) if method == "gaussian" else 1 - overlap
            heapq.heappush(heap, (-left[j], j))
    index = np.array(kept, np.int64)
    return index, np.array(left)[index]


def _overlapping(
    boxes: NDArray[np.float64], labels: NDArray[np.int64]
) -> dict[int, list[tuple[int, float]]]:
    """Boxes of the same label that overlap each box at all, with their IoU."""
    whole = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    a, b = overlapping_boxes(whole.astype(np.int32))
    same = labels[a] == labels[b]
    a, b = a[same], b[same]
    overlap = pair_iou(boxes[a].astype(np.float64), boxes[b].astype(np.float64))
    found: dict[int, list[tuple[int, float]]] = {}
    for i, j, value in zip(a.tolist(), b.tolist(), overlap.tolist(), strict=True):
        if value > 0:
            found.setdefault(i, []).append((j, value))
            found.setdefault(j, []).append((i, value))
    return found
