"""Fuses what several views of one tile found into one set of objects.

Weighted boxes fusion (Solovyev et al. 2019) with the masks averaged on the fused box: the objects
of all views are clustered by category and box IoU, best score first, each view giving at most one
member; box and mask are score-weighted means. The score is the mean over *all* views, a view that
misses the object counting zero: an object seen by one of four views only keeps a quarter of its
score, which is what makes views remove false positives and not only smooth outlines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.overlap import overlapping_boxes
from napari_sartorius.inference.found import Found
from napari_sartorius.inference.views import join_views

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
    joined = join_views(views)
    view = np.repeat(np.arange(len(views)), [len(v) for v in views])
    cluster = _cluster(joined, view, iou)
    count = int(cluster.max()) + 1 if len(cluster) else 0
    total = np.bincount(cluster, joined.scores, count)
    scores = (total / len(views)).astype(np.float32)
    labels = np.zeros(count, np.int64)
    labels[cluster] = joined.labels
    order = np.argsort(-scores, kind="stable")
    if keep is not None:
        order = order[keep(scores, labels)[order]]
    # Members of wanted clusters, side by side in the order of the clusters.
    place = np.full(count, -1)
    place[order] = np.arange(len(order))
    members = np.flatnonzero(place[cluster] >= 0) if count else np.zeros(0, np.int64)
    members = members[np.argsort(place[cluster[members]], kind="stable")]
    of = place[cluster[members]]
    if not len(members):
        return joined[members], np.zeros(0, np.float32)
    first = np.flatnonzero(np.diff(of, prepend=-1))
    weight = joined.scores[members] / np.maximum(total[cluster[members]], 1e-12)
    weight = weight.astype(np.float32)
    boxes = np.add.reduceat(joined.boxes[members] * weight[:, None], first)
    on_fused = _on_boxes(joined.mask_probs[members], joined.boxes[members], boxes[of])
    masks = np.add.reduceat(on_fused * weight[:, None, None], first)
    agreement = (np.diff(first, append=len(members)) / len(views)).astype(np.float32)
    return Found(boxes, scores[order], labels[order], masks, joined.capped), agreement


def _cluster(joined: Found, view: NDArray[np.int64], iou: float) -> NDArray[np.int64]:
    """Cluster of each object, (N,), numbered from 0."""
    neighbours = _neighbours(joined, view, iou)
    cluster = np.full(len(joined), -1, np.int64)
    views = view.tolist()
    count = 0
    for node in np.argsort(-joined.scores, kind="stable").tolist():
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


def _neighbours(joined: Found, view: NDArray[np.int64], iou: float) -> dict[int, list[int]]:
    """Objects of other views and the same category that overlap enough, best overlap first."""
    whole = np.concatenate([np.floor(joined.boxes[:, :2]), np.ceil(joined.boxes[:, 2:])], axis=1)
    a, b = overlapping_boxes(whole.astype(np.int32))
    different = (view[a] != view[b]) & (joined.labels[a] == joined.labels[b])
    a, b = a[different], b[different]
    overlap = _pair_iou(joined.boxes[a], joined.boxes[b])
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
