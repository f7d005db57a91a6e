"""COCO average precision of one category from the pairs that overlap, for very crowded images.

pycocotools and its successors compare every prediction with every true object, 25 million pairs for
5,000 cells, in compiled code that keeps the interpreter to itself for seconds. The pairs that share
pixels are known already when objects were compared, and only those can match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.evaluation.coco_ap import AveragePrecision
from napari_sartorius.evaluation.competition import THRESHOLDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.evaluation.outcomes import Comparison

_RECALLS: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
_TINY = float(np.spacing(1))


def sparse_average_precision(
    cases: Sequence[tuple[Comparison, NDArray[np.float32]]],
) -> AveragePrecision:
    """Compute COCO mask AP, all objects taken as one category and none as a crowd.

    Equal to `coco_ap.coco_average_precision` without a limit on detections.

    Parameters
    ----------
    cases : sequence of (Comparison, (M,) float32)
        One per image: overlaps of N true and M predicted objects, made without removing overlaps,
        and the predictions' scores.

    Returns
    -------
    AveragePrecision
        Not-a-number where there is no true object.
    """
    truths = sum(len(comparison.truth_area) for comparison, _ in cases)
    if not truths:
        return AveragePrecision()
    # Best first within each image, as the matching goes, then over all images.
    orders = [np.argsort(-scores, kind="stable") for _, scores in cases]
    scores = np.concatenate([s[order] for (_, s), order in zip(cases, orders, strict=True)])
    found = np.concatenate(
        [_found(one, order) for (one, _), order in zip(cases, orders, strict=True)], axis=1
    )
    hits = found[:, np.argsort(-scores, kind="stable")]
    values = np.array([_area_under(row, truths) for row in hits])
    return AveragePrecision(float(values.mean()), float(values[0]), float(values[5]))


def _found(comparison: Comparison, order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each threshold and each prediction, in `order`, whether it is matched."""
    pairs = comparison.pairs
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    found = np.zeros((len(THRESHOLDS), len(order)), np.bool_)
    for row, threshold in zip(found, THRESHOLDS.tolist(), strict=True):
        chosen = np.flatnonzero(pairs.iou >= threshold)
        truth, place, iou = pairs.truth[chosen], rank[pairs.predicted[chosen]], pairs.iou[chosen]
        # Each prediction takes the best true object that is left, the later one of equals.
        walk = np.lexsort((-truth, -iou, place))
        taken: set[int] = set()
        for i, at in zip(truth[walk].tolist(), place[walk].tolist(), strict=True):
            if not row[at] and i not in taken:
                taken.add(i)
                row[at] = True
    return found


def _area_under(hits: NDArray[np.bool_], truths: int) -> float:
    """Return the mean precision at 101 recalls, of predictions with the best first."""
    if not len(hits):
        return 0.0
    true = np.cumsum(hits, dtype=np.float64)
    recall = true / truths
    precision = true / (np.arange(1, len(hits) + 1) + _TINY)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, _RECALLS, side="left")
    reached = place < len(hits)
    return float(envelope[place[reached]].sum() / len(_RECALLS))
