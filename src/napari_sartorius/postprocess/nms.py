"""Of several detections of one cell keep the best: non-maximum suppression on masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_sartorius.postprocess.thresholds import per_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.masks import CropMasks


class MaskPairs(NamedTuple):
    """How the masks of an image overlap each other.

    Attributes
    ----------
    rows, cols : (P,) int64
        Pairs that share pixels.
    iou : (P,) float64
        Their intersection over union, above 0 to 1.
    areas : (N,) int64
        Pixels of each mask.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    iou: NDArray[np.float64]
    areas: NDArray[np.int64]


def pairs_of(masks: CropMasks) -> MaskPairs:
    """Find out how the masks of an image overlap each other."""
    areas = masks.area()
    rows, cols, shared = masks.overlaps()
    return MaskPairs(rows, cols, shared / (areas[rows] + areas[cols] - shared), areas)


def mask_nms(
    instances: Instances, iou: float | Sequence[float], *, within_category: bool = False
) -> Instances:
    """Drop objects that overlap a kept object of higher score too much; drop empty masks.

    Greedy: the best object is kept, and what overlaps it by more than `iou` goes; then the best
    of the rest, and so on. Equal scores are taken in the order they stand.

    Parameters
    ----------
    instances : Instances
        Objects of one image.
    iou : float or sequence of float
        Largest mask IoU (0 to 1) with a better object that an object may have; one for all, or
        one per category of the worse object.
    within_category : bool
        Whether only objects of the same category suppress each other.

    Returns
    -------
    Instances
        The kept objects, in the order of the input.
    """
    pairs = pairs_of(instances.masks)
    kept = without_doubles(instances, pairs, iou, within_category=within_category)
    return instances[kept & (pairs.areas > 0)]


def without_doubles(
    instances: Instances,
    pairs: MaskPairs,
    iou: float | Sequence[float],
    *,
    within_category: bool = False,
) -> NDArray[np.bool_]:
    """Which objects `mask_nms` keeps, (N,), empty masks too, given how they overlap."""
    rows, cols, overlap, _ = pairs
    rank = np.empty(len(instances), np.int64)
    rank[np.argsort(-instances.scores, kind="stable")] = np.arange(len(instances))
    better = np.where(rank[rows] < rank[cols], rows, cols)
    worse = rows + cols - better
    conflict = overlap > per_object(iou, instances.categories)[worse]
    if within_category:
        conflict &= instances.categories[rows] == instances.categories[cols]
    return _greedy(better[conflict], worse[conflict], len(instances))


def _greedy(better: NDArray[np.int64], worse: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Return which of `count` objects survive, given the pairs in conflict.

    Each round settles all objects whose better rivals are settled, so the number of rounds is
    the length of the longest chain of conflicts, not the number of objects.
    """
    kept = np.ones(count, np.bool_)
    open_pairs = np.arange(len(better))
    while open_pairs.size:
        a, b = better[open_pairs], worse[open_pairs]
        waiting = np.zeros(count, np.bool_)
        waiting[b] = True
        settled = kept & ~waiting
        kept[b[settled[a]]] = False
        open_pairs = open_pairs[kept[a] & kept[b] & ~settled[a]]
    return kept
