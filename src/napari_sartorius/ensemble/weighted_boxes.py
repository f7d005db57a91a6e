"""Weighted boxes fusion."""

from __future__ import annotations

from typing import Literal

from napari_sartorius.ensemble.options import FusionOptions, Overlap, Share


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
        Whether objects of different categories may be the same; the best member names it.
    rescore
        Whether the score is multiplied by the mean mask probability inside the mask.
    """

    strategy: Literal["weighted_boxes"] = "weighted_boxes"
    iou: Overlap = 0.55
    min_score: Share = 0.0
    confidence: Literal["avg", "max", "box_and_model_avg", "absent_model_aware_avg"] = "avg"
    allow_overflow: bool = False
    class_agnostic: bool = False
    rescore: bool = False
