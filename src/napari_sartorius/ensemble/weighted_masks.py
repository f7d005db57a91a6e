"""Weighted masks fusion: masks of overlapping boxes are averaged, weighted by score.

From M. Chrise's Weighted-Masks-Fusion, as the eighth place of the Sartorius competition used it.
The original takes objects model by model, counts two boxes of one model twice, and in one of its
ways to weight multiplies by the number of the model instead of the model's weight, so that what
only the first model found becomes not a number. Here objects are taken best first, looks are
counted once, and weights are the looks' own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from napari_sartorius.ensemble.clusters import Clusters
from napari_sartorius.ensemble.fused import fused_instances
from napari_sartorius.ensemble.gathered import Gathered
from napari_sartorius.ensemble.greedy_boxes import greedy_clusters
from napari_sartorius.ensemble.member_masks import vote
from napari_sartorius.ensemble.options import FusionOptions, Overlap, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.ensemble.looks import Canvas, Look, Strategy

MaskConfidence: TypeAlias = Literal[
    "max_weight", "max", "soft_weight", "model_weight", "model_weight2"
]
"""What the best member's score is multiplied by; n of L looks found the object.

- ``max``: by nothing.
- ``max_weight``: n / L.
- ``soft_weight``: (n + s) / (L + s), with s the soft weight.
- ``model_weight``: (w + s) / (W + s), with w the weights of those looks and W of all.
- ``model_weight2``: the same; and boxes and masks are averaged by score times weight, not by score.
"""


# With a vote of 0, one member is still needed.
_ANY_VOTE = 1e-3


class WeightedMasks(FusionOptions):
    """Options of weighted masks fusion.

    Attributes
    ----------
    iou
        A box joins the fused box that it overlaps most, if by more than this. The published 0.7
        leaves many doubles to a later suppression by masks.
    min_score
        Objects need a higher score than this to take part.
    confidence
        What the best member's score is multiplied by, see `MaskConfidence`.
    soft_weight
        How gently missing looks lower the score, 0 or more.
    min_members
        Objects that fewer looks found are dropped.
    vote
        Score-weighted share of the members that must cover a pixel.
    compat
        ``"original"`` repeats the published code: objects in the order of the looks, members
        counted instead of looks, and ``model_weight2`` weighting by the number of the look.
    """

    strategy: Literal["weighted_masks"] = "weighted_masks"
    iou: Overlap = 0.7
    min_score: Share = 0.0
    confidence: MaskConfidence = "max_weight"
    soft_weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 5.0
    min_members: Annotated[int, Field(ge=1)] = 1
    vote: Share = 0.5
    compat: Literal["original"] | None = None

    def build(self) -> Strategy:
        """The function that fuses by these options."""
        return partial(weighted_masks, options=self)


def weighted_masks(looks: Sequence[Look], canvas: Canvas, options: WeightedMasks) -> Instances:
    """Fuse by weighted masks fusion; see `looks.Strategy`."""
    gathered = Gathered.of(looks)
    clusters, shares = cluster_by_boxes(
        gathered.boxes, gathered.scores, gathered.look, gathered.weights, options
    )
    scores = confidence_of(clusters, gathered.scores, gathered.look, gathered.weights, options)
    labels = gathered.majority(clusters)
    # What the original's weights turn into no number at all is left out.
    wanted = clusters.sum(shares) > 0
    if canvas.keep is not None:
        wanted &= canvas.keep(scores.astype(np.float32), labels)
    shares, scores, labels = shares[wanted[clusters.owner]], scores[wanted], labels[wanted]
    clusters = clusters[wanted]
    boxes = clusters.mean(gathered.boxes[clusters.members], shares)
    masks, agreement = vote(
        gathered.draw(clusters.members, canvas),
        clusters,
        shares,
        np.maximum(options.vote * clusters.sum(shares), _ANY_VOTE * clusters.max(shares)),
    )
    return fused_instances(gathered, clusters, boxes, scores, labels, masks, agreement)


def cluster_by_boxes(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    look: NDArray[np.int64],
    weights: NDArray[np.float64],
    options: WeightedMasks,
) -> tuple[Clusters, NDArray[np.float64]]:
    """Join each object to the running mean box that it overlaps most, across categories.

    Parameters
    ----------
    boxes : (N, 4) float
        xyxy in any unit; objects without area are left out.
    scores : (N,) float
        0..1.
    look : (N,) int64
        Which look each object comes from.
    weights : (L,) float64
        How much each look counts.
    options : WeightedMasks
        `iou`, `min_score`, `min_members`, and `confidence` and `compat` for the weights.

    Returns
    -------
    clusters : Clusters
        In the order in which they began.
    shares : (P,) float64
        What each member counts in the means of its cluster.
    """
    share = scores.astype(np.float64)
    if options.confidence == "model_weight2":
        share = share * (look if options.compat == "original" else weights[look])
    solid = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    order = np.flatnonzero((scores > options.min_score) & solid)
    if options.compat is None:
        order = order[np.lexsort((*boxes[order].T, -scores[order]))]
    one_label = np.zeros(len(boxes), np.int64)
    cluster = greedy_clusters(boxes.astype(np.float64), share, one_label, order, options.iou)
    clusters = Clusters.of(cluster, order)
    clusters = clusters[_found_by(clusters, look, options) >= options.min_members]
    return clusters, share[clusters.members]


def confidence_of(
    clusters: Clusters,
    scores: NDArray[np.floating],
    look: NDArray[np.int64],
    weights: NDArray[np.float64],
    options: WeightedMasks,
) -> NDArray[np.float64]:
    """Score of each cluster, (M,), see `MaskConfidence`; arguments as for `cluster_by_boxes`."""
    best = clusters.max(scores[clusters.members]).astype(np.float64)
    looks, soft = len(weights), options.soft_weight
    if options.confidence == "max":
        return best
    if options.confidence in ("max_weight", "soft_weight"):
        count = np.minimum(_found_by(clusters, look, options), looks)
        if options.confidence == "max_weight":
            return np.asarray(best * count / looks)
        return np.asarray(best * (count + soft) / (looks + soft))
    of = look[clusters.members]
    once = 1 if options.compat == "original" else clusters.distinct(of)[1]
    weight = np.minimum(clusters.sum(weights[of] * once), weights.sum())
    return np.asarray(best * (weight + soft) / (weights.sum() + soft))


def _found_by(
    clusters: Clusters, look: NDArray[np.int64], options: WeightedMasks
) -> NDArray[np.int64]:
    """How many looks found each cluster, (M,); the original counts members."""
    if options.compat == "original":
        return clusters.sizes
    return clusters.distinct(look[clusters.members])[0]
