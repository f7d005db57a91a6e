"""Fuses what several views of one tile found into one set of objects.

Weighted boxes fusion (Solovyev et al. 2019) with the masks averaged on the fused box: the objects
of all views are clustered by category and box IoU, best score first, each view giving at most one
member; box, mask and further columns are score-weighted means. The score is the mean over *all*
views, a view that misses the object counting zero: an object seen by one of four views only keeps a
quarter of its score, which is what makes views remove false positives and not only smooth outlines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.found import Found
from napari_sartorius.core.overlap import overlapping_boxes

if TYPE_CHECKING:
    from collections.abc import Sequence


Keep = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.bool_]]


def fuse_views(
    views: Sequence[Found], keep: Keep | None = None, iou: float = 0.55
) -> tuple[Found, NDArray[np.float32]]:
    """Fuse the objects of several views.

    Parameters
    ----------
    views
        What each view found, already in the same pixels.
    keep
        Says from fused scores and labels which objects are wanted; masks are averaged for these
        only. All when None.
    iou : float
        Boxes of one category that overlap at least this much show the same object.

    Returns
    -------
    found : Found
        Fused objects, best score first.
    agreement : (N,) float32
        Share of the views that found each object, above 0 to 1.
    """
    if len(views) == 1:
        only = views[0] if keep is None else views[0][keep(views[0].scores, views[0].labels)]
        return only, np.ones(len(only), np.float32)
    boxes = np.concatenate([v.boxes for v in views])
    scores = np.concatenate([v.scores for v in views])
    labels = np.concatenate([v.labels for v in views])
    view = np.repeat(np.arange(len(views)), [len(v) for v in views])
    cluster = _cluster(boxes, scores, labels, view, iou)
    count = int(cluster.max(initial=-1)) + 1
    total = np.bincount(cluster, scores, count)
    fused_scores = (total / len(views)).astype(np.float32)
    fused_labels = np.zeros(count, np.int64)
    fused_labels[cluster] = labels
    order = np.argsort(-fused_scores, kind="stable")
    if keep is not None:
        order = order[keep(fused_scores, fused_labels)[order]]

    members, first = _members(cluster, order)
    weight = (scores[members] / np.maximum(total[cluster[members]], 1e-12)).astype(np.float32)
    sizes = np.diff(first, append=len(members))
    fused_boxes = _sums(boxes[members] * weight[:, None], first)
    masks = _on_boxes(
        _masks_of(views, members), boxes[members], np.repeat(fused_boxes, sizes, axis=0)
    )
    fused = Found(
        fused_boxes,
        fused_scores[order],
        fused_labels[order],
        _sums(masks * weight[:, None, None], first),
        any(v.capped for v in views),
        {
            name: _sums(np.concatenate([v.columns[name] for v in views])[members] * weight, first)
            for name in views[0].columns
        },
    )
    return fused, (sizes / len(views)).astype(np.float32)


def _members(
    cluster: NDArray[np.int64], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Objects of the clusters in `order`, side by side, and where each cluster begins."""
    place = np.full(int(cluster.max(initial=-1)) + 1, -1)
    place[order] = np.arange(len(order))
    wanted = np.flatnonzero(place[cluster] >= 0)
    members = wanted[np.argsort(place[cluster[wanted]], kind="stable")]
    return members, np.flatnonzero(np.diff(place[cluster[members]], prepend=-1))


def _sums(values: NDArray[np.float32], first: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sums of consecutive rows that begin at `first`."""
    if not len(first):
        return values
    return np.asarray(np.add.reduceat(values, first), dtype=np.float32)


def _masks_of(views: Sequence[Found], members: NDArray[np.int64]) -> NDArray[np.float32]:
    """Masks of objects counted through all views, without joining those of all objects."""
    masks = np.empty((len(members), *views[0].mask_probs.shape[1:]), np.float32)
    begin = 0
    for view in views:
        here = (members >= begin) & (members < begin + len(view))
        masks[here] = view.mask_probs[members[here] - begin]
        begin += len(view)
    return masks


def _cluster(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    view: NDArray[np.int64],
    iou: float,
) -> NDArray[np.int64]:
    """Cluster of each object, (N,), numbered from 0; best score first."""
    neighbours = _neighbours(boxes, labels, view, iou)
    cluster = np.full(len(boxes), -1, np.int64)
    views = view.tolist()
    count = 0
    for node in np.argsort(-scores, kind="stable").tolist():
        if cluster[node] >= 0:
            continue
        cluster[node] = count
        seen = {views[node]}
        for other in neighbours.get(node, ()):
            if cluster[other] < 0 and views[other] not in seen:
                cluster[other] = count
                seen.add(views[other])
        count += 1
    return cluster


def _neighbours(
    boxes: NDArray[np.float32], labels: NDArray[np.int64], view: NDArray[np.int64], iou: float
) -> dict[int, list[int]]:
    """Objects of other views and the same category that overlap enough, best overlap first."""
    whole = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    a, b = overlapping_boxes(whole.astype(np.int32))
    different = (view[a] != view[b]) & (labels[a] == labels[b])
    a, b = a[different], b[different]
    overlap = _pair_iou(boxes[a], boxes[b])
    enough = overlap >= iou
    a, b, overlap = a[enough], b[enough], overlap[enough]
    first, second = np.concatenate([a, b]), np.concatenate([b, a])
    result: dict[int, list[int]] = {}
    for i in np.lexsort((second, -np.concatenate([overlap, overlap]))).tolist():
        result.setdefault(int(first[i]), []).append(int(second[i]))
    return result


def _pair_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    area_a = (a[:, 2:] - a[:, :2]).prod(axis=1)
    area_b = (b[:, 2:] - b[:, :2]).prod(axis=1)
    union = np.maximum(area_a + area_b - shared, 1e-9)
    return np.asarray(shared / union, dtype=np.float32)


def _on_boxes(
    masks: NDArray[np.float32], own: NDArray[np.float32], target: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Masks (N, m, m) of boxes `own`, sampled on the grids of boxes `target`; zeros outside."""
    rows = _axis_weights(own[:, [1, 3]], target[:, [1, 3]], masks.shape[-1])
    columns = _axis_weights(own[:, [0, 2]], target[:, [0, 2]], masks.shape[-1])
    return np.asarray(rows @ masks @ columns.transpose(0, 2, 1), dtype=np.float32)


def _axis_weights(
    own: NDArray[np.float32], target: NDArray[np.float32], side: int
) -> NDArray[np.float32]:
    """Linear interpolation weights (N, target grid, own grid) along one axis."""
    points = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    place = target[:, :1] + points * (target[:, 1:] - target[:, :1])
    extent = np.maximum(own[:, 1:] - own[:, :1], np.float32(1e-6))
    along = (place - own[:, :1]) / extent * side - np.float32(0.5)
    grid = np.arange(side, dtype=np.float32)
    # The outermost grid values reach to the edge of the box, so that fusing equal boxes is exact
    # and nearly equal ones do not fade at their rim.
    inside = (along >= -0.5) & (along <= side - 0.5)
    along = np.clip(along, 0, side - 1)
    weights = np.clip(1 - np.abs(along[:, :, None] - grid), 0, None)
    result: NDArray[np.float32] = (weights * inside[:, :, None]).astype(np.float32)
    return result
