"""Fuses boxes of several looks on plain arrays: weighted boxes fusion, non-maximum weighting.

Numbers agree with the ensemble-boxes package to the rounding of its 32-bit sums; boxes with equal
scores are taken in an order of their own that does not depend on how they were listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.ensemble.close_pairs import pair_iou
from napari_sartorius.ensemble.clusters import Clusters
from napari_sartorius.ensemble.greedy_boxes import greedy_clusters

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Confidence: TypeAlias = Literal["avg", "max", "box_and_model_avg", "absent_model_aware_avg"]
"""How the weighted scores of a cluster's members become one.

- ``avg``: their mean, times the share of the looks that the cluster has members for; two members
  of one look count as two looks.
- ``max``: the largest, divided by the largest weight.
- ``box_and_model_avg``: their weighted mean, times the weight of the looks that are among them
  over the weight of all looks.
- ``absent_model_aware_avg``: their sum over the weights of the members and of the looks that are
  not among them.
"""


@dataclass(frozen=True, eq=False)
class FusedBoxes:
    """M fused boxes, best score first, and where they come from.

    Attributes
    ----------
    boxes : (M, 4) float64
        xyxy, in the unit of the input.
    scores : (M,) float64
        Usually 0..1; ``avg`` with overflow may exceed 1.
    labels : (M,) int64
        Label of the first member.
    clusters : Clusters
        Indices into the input, each fused box's members in the order of joining.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    clusters: Clusters


def weighted_boxes_fusion(
    boxes: ArrayLike,
    scores: ArrayLike,
    labels: ArrayLike,
    look: ArrayLike,
    weights: ArrayLike,
    *,
    iou: float = 0.55,
    min_score: float = 0.0,
    confidence: Confidence = "avg",
    allow_overflow: bool = False,
) -> FusedBoxes:
    """Cluster the boxes of several looks and average each cluster, weighted by score.

    Boxes are taken by descending score, each joining the fused box of its label that it overlaps
    most; the fused box is the score-weighted mean of its members and moves with each of them
    (Solovyev, Wang and Gabruseva 2019, arXiv:1910.13302).

    Parameters
    ----------
    boxes : (N, 4) float
        xyxy in any unit. Reversed corners are put right; boxes without area are left out.
    scores : (N,) float
        Usually 0..1.
    labels : (N,) int
        Categories; give all the same for fusion across categories.
    look : (N,) int
        Which look each box comes from, from 0.
    weights : (L,) float
        How much each look counts, above 0; looks without boxes included.
    iou : float
        A box joins where it overlaps more than this, 0.05 to 1.
    min_score : float
        Boxes with a lower score, before weighting, are left out.
    confidence : str
        How the members' scores become one, see `Confidence`.
    allow_overflow : bool
        Whether a cluster with more members than there are looks may exceed their mean (``avg``).

    Returns
    -------
    FusedBoxes

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, a weight is not above 0, or `iou` or
        `confidence` is out of its range.
    """
    if confidence not in get_args(Confidence):
        raise ValueError(f"unknown confidence {confidence!r}, choose from {get_args(Confidence)}")
    given = _Boxes.read(boxes, scores, labels, look, weights)
    weighted = given.scores * given.weights[given.look]
    order = given.order(weighted, min_score)
    cluster = greedy_clusters(given.boxes, weighted, given.labels, order, iou)
    clusters = Clusters.of(cluster, order)
    share = weighted[clusters.members]
    total = clusters.sum(share)
    mean = clusters.sum(given.boxes[clusters.members] * share[:, None])
    # Members without any score count alike.
    plain = clusters.sum(given.boxes[clusters.members]) / np.maximum(clusters.sizes, 1)[:, None]
    some = total > 0
    fused = np.where(some[:, None], mean / np.where(some, total, 1)[:, None], plain)
    fused_scores = _confidence(clusters, share, given, confidence, allow_overflow)
    return _best_first(fused, fused_scores, given.labels[clusters.best], clusters)


def non_maximum_weighted(
    boxes: ArrayLike,
    scores: ArrayLike,
    labels: ArrayLike,
    look: ArrayLike,
    weights: ArrayLike,
    *,
    iou: float = 0.55,
    min_score: float = 0.0,
) -> FusedBoxes:
    """Cluster boxes around the best and average each cluster by score and overlap with the best.

    Zhou et al. 2017, "CAD: Scale Invariant Framework for Real-Time Object Detection". The score is
    the best member's, times its look's weight over the largest weight. Parameters as in
    `weighted_boxes_fusion`.
    """
    given = _Boxes.read(boxes, scores, labels, look, weights)
    weighted = given.scores * (given.weights / given.weights.max(initial=0))[given.look]
    order = given.order(weighted, min_score)
    cluster = greedy_clusters(given.boxes, weighted, given.labels, order, iou, moving=False)
    clusters = Clusters.of(cluster, order)
    members, best = given.boxes[clusters.members], given.boxes[clusters.best]
    share = pair_iou(members, best[clusters.owner])
    # Members without any score count by their overlap alone.
    total = clusters.sum(weighted[clusters.members])
    share *= np.where(total[clusters.owner] > 0, weighted[clusters.members], 1)
    fused = clusters.sum(members * share[:, None]) / clusters.sum(share)[:, None]
    return _best_first(fused, weighted[clusters.best], given.labels[clusters.best], clusters)


def _confidence(
    clusters: Clusters,
    share: NDArray[np.float64],
    given: _Boxes,
    confidence: Confidence,
    allow_overflow: bool,
) -> NDArray[np.float64]:
    """Scores of the clusters from the weighted scores `share` of their members."""
    weights, look = given.weights, given.look[clusters.members]
    total, everyone = clusters.sum(share), weights.sum()
    if confidence == "max":
        return np.asarray(clusters.max(share) / weights.max(initial=0))
    if confidence == "avg":
        counted = clusters.sizes if allow_overflow else np.minimum(clusters.sizes, len(weights))
        return np.asarray(total / clusters.sizes * counted / everyone)
    of_members = clusters.sum(weights[look])
    present = clusters.sum(weights[look] * clusters.distinct(look)[1])
    if confidence == "box_and_model_avg":
        return np.asarray(total / of_members * present / everyone)
    return np.asarray(total / (of_members + (everyone - present)))


def _best_first(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    clusters: Clusters,
) -> FusedBoxes:
    order = np.argsort(-scores, kind="stable")
    return FusedBoxes(boxes[order], scores[order], labels[order], clusters[order])


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Arguments that were checked."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    look: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def read(
        cls,
        boxes: ArrayLike,
        scores: ArrayLike,
        labels: ArrayLike,
        look: ArrayLike,
        weights: ArrayLike,
    ) -> _Boxes:
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
        low = np.minimum(corners[:, :2], corners[:, 2:])
        high = np.maximum(corners[:, :2], corners[:, 2:])
        read = cls(
            np.concatenate([low, high], axis=1),
            np.asarray(scores, np.float64).reshape(-1),
            np.asarray(labels, np.int64).reshape(-1),
            np.asarray(look, np.int64).reshape(-1),
            np.asarray(weights, np.float64).reshape(-1),
        )
        lengths = {len(read.boxes), len(read.scores), len(read.labels), len(read.look)}
        if len(lengths) != 1:
            raise ValueError("boxes, scores, labels and looks differ in number")
        if not (np.isfinite(read.boxes).all() and np.isfinite(read.scores).all()):
            raise ValueError("boxes or scores hold numbers that are not finite")
        if not ((read.weights > 0) & np.isfinite(read.weights)).all():
            raise ValueError(f"expected weights above 0, got {read.weights.tolist()}")
        if len(read.look) and not 0 <= read.look.min() <= read.look.max() < len(read.weights):
            raise ValueError(f"expected looks from 0 to {len(read.weights) - 1}")
        return read

    def order(self, weighted: NDArray[np.float64], min_score: float) -> NDArray[np.int64]:
        """Boxes that take part, best first; equals by label and place, however they are listed."""
        area = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1)
        inside = np.flatnonzero((self.scores >= min_score) & (area > 0))
        keys = (*self.boxes[inside].T, self.labels[inside], -weighted[inside])
        return inside[np.lexsort(keys)]
