"""Weighted boxes fusion, masks averaged: every box moves to where the looks see it on average.

Boxes by weighted boxes fusion (Solovyev et al. 2019), masks as the score-weighted mean of the
members' soft masks brought to the fused box. The first place of the Sartorius competition fused
boxes so, averaged the masks of all networks on them, and multiplied the score by the mean mask
probability, which is the option ``rescore``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sartorius.core.found import Found
from napari_sartorius.ensemble.box_fusion import Confidence, weighted_boxes_fusion
from napari_sartorius.ensemble.fused import fused_instances
from napari_sartorius.ensemble.gathered import Gathered
from napari_sartorius.ensemble.options import FusionOptions, Overlap, Share
from napari_sartorius.ensemble.soft_masks import mean_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.ensemble.looks import Canvas, Look, Strategy


class WeightedBoxes(FusionOptions):
    """Options of weighted boxes fusion with averaged masks.

    Attributes
    ----------
    iou
        A box joins the fused box that it overlaps most, if by more than this.
    min_score
        Objects with a lower score are left out before fusing.
    confidence
        How the members' scores become one, see `box_fusion.Confidence`.
    allow_overflow
        Whether ``avg`` may exceed the members' mean where a look gave several members.
    class_agnostic
        Whether objects of different categories may be the same; the sum of scores decides.
    rescore
        Whether the score is multiplied by the mean mask probability where that is at least 0.5.
    """

    strategy: Literal["weighted_boxes"] = "weighted_boxes"
    iou: Overlap = 0.55
    min_score: Share = 0.0
    confidence: Confidence = "avg"
    allow_overflow: bool = False
    class_agnostic: bool = False
    rescore: bool = False

    def build(self) -> Strategy:
        """The function that fuses by these options."""
        return partial(weighted_boxes, options=self)


def weighted_boxes(looks: Sequence[Look], canvas: Canvas, options: WeightedBoxes) -> Instances:
    """Fuse by weighted boxes fusion with averaged masks; see `looks.Strategy`."""
    gathered = Gathered.of(looks)
    fused = weighted_boxes_fusion(
        gathered.boxes,
        gathered.scores,
        np.zeros_like(gathered.labels) if options.class_agnostic else gathered.labels,
        gathered.look,
        gathered.weights,
        iou=options.iou,
        min_score=options.min_score,
        confidence=options.confidence,
        allow_overflow=options.allow_overflow,
    )
    clusters, boxes = fused.clusters, fused.boxes.astype(np.float32)
    scores, labels = fused.scores.astype(np.float32), gathered.majority(clusters)
    if canvas.keep is not None:
        wanted = canvas.keep(scores, labels)
        clusters, boxes = clusters[wanted], boxes[wanted]
        scores, labels = scores[wanted], labels[wanted]

    probs = mean_masks(gathered, clusters, gathered.shares(clusters), boxes)
    if options.rescore:
        scores = scores * mean_inside(probs)
    found = Found(boxes, scores, labels, probs)
    masks, further = canvas.draw(found), canvas.confidence(found)
    agreement = gathered.mask_agreement(clusters, canvas)
    objects = fused_instances(gathered, clusters, boxes, scores, labels, masks, agreement, further)
    if options.rescore and canvas.keep is not None:
        objects = objects[canvas.keep(objects.scores, objects.categories)]
    return objects


def mean_inside(probs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean probability of each grid (M, m, m) where it is at least 0.5, (M,); 0 without any."""
    inside = probs >= 0.5
    count = inside.sum(axis=(1, 2))
    total = np.sum(probs, axis=(1, 2), where=inside)
    return np.asarray(total / np.maximum(count, 1), dtype=np.float32)
