"""Mask clusters with a vote per pixel: masks alone decide what is the same cell, boxes do not.

How the seventh place of the Sartorius competition made pseudo-labels from several networks:
clusters by mask IoU, then a vote per pixel in each cluster. Its thresholds were not published;
ours are half of the union for the same cell, as the competition's easiest match, and half of the
members for a pixel. As a look that misses a cell counts zero in its score, cells that few looks
found fall below the score threshold of the pseudo-labels.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from napari_sartorius.ensemble.clusters import Clusters
from napari_sartorius.ensemble.fused import fused_instances
from napari_sartorius.ensemble.gathered import Gathered
from napari_sartorius.ensemble.greedy_masks import greedy_mask_clusters
from napari_sartorius.ensemble.member_masks import vote
from napari_sartorius.ensemble.options import FusionOptions, Overlap, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.ensemble.looks import Canvas, Look, Strategy


class MaskClusters(FusionOptions):
    """Options of clustering by masks with a vote per pixel.

    Attributes
    ----------
    iou
        A mask joins the cluster whose best mask it overlaps most, if by more than this.
    min_score
        Objects with a lower score are left out before fusing.
    vote
        Share of the members whose masks must cover a pixel for it to belong to the object; one
        member is always needed.
    min_votes
        Objects that fewer looks found are dropped.
    class_agnostic
        Whether objects of different categories may be the same; the sum of scores decides.
    """

    strategy: Literal["mask_clusters"] = "mask_clusters"
    iou: Overlap = 0.5
    min_score: Share = 0.0
    vote: Share = 0.5
    min_votes: Annotated[int, Field(ge=1)] = 1
    class_agnostic: bool = True

    def build(self) -> Strategy:
        """The function that fuses by these options."""
        return partial(mask_clusters, options=self)


def mask_clusters(looks: Sequence[Look], canvas: Canvas, options: MaskClusters) -> Instances:
    """Fuse by clustering masks, with a vote per pixel; see `looks.Strategy`.

    Objects without a pixel are left out. Boxes are tight around the fused masks.
    """
    gathered = Gathered.of(looks)
    weighted = gathered.scores * gathered.weights[gathered.look]
    taken = np.flatnonzero(gathered.scores >= options.min_score)
    taken = taken[np.lexsort((*gathered.boxes[taken].T, -weighted[taken]))]
    drawn = gathered.draw(taken, canvas)
    labels = np.zeros_like(taken) if options.class_agnostic else gathered.labels[taken]
    cluster = greedy_mask_clusters(drawn, labels, options.iou)
    clusters = Clusters.of(cluster, np.arange(len(taken)))

    look = gathered.look[taken[clusters.members]]
    votes, is_first = clusters.distinct(look)
    # Each look counts once, by its best member.
    total = clusters.sum(weighted[taken[clusters.members]] * is_first)
    scores = (total / gathered.weights.sum()).astype(np.float32)
    kept = votes >= options.min_votes
    labels = gathered.majority(Clusters(taken[clusters.members], clusters.sizes))
    if canvas.keep is not None:
        kept &= canvas.keep(scores, labels)
    clusters, scores, labels = clusters[kept], scores[kept], labels[kept]
    masks, agreement = vote(
        drawn[clusters.members],
        clusters,
        np.ones(len(clusters.members), np.float32),
        np.maximum(np.ceil(options.vote * clusters.sizes), 1),
    )
    masks = masks.tight()
    clusters = Clusters(taken[clusters.members], clusters.sizes)
    boxes = masks.bounding_boxes()
    return fused_instances(gathered, clusters, boxes, scores, labels, masks, agreement)
