"""Weighted segments fusion."""

from __future__ import annotations

from typing import Literal

from napari_sartorius.ensemble.options import FusionOptions, Overlap, Share


class WeightedSegments(FusionOptions):
    """Options of weighted segments fusion.

    Attributes
    ----------
    iou
        A box joins the fused box that it overlaps most, if by more than this.
    min_score
        Objects with a lower score are left out before fusing.
    confidence
        How the members' scores become one, see `box_fusion.Confidence`.
    vote
        Share of the members whose masks must cover a pixel for it to belong to the object.
    compat
        ``"mistag"`` repeats the published notebook to the pixel.
    """

    strategy: Literal["weighted_segments"] = "weighted_segments"
    iou: Overlap = 0.55
    min_score: Share = 0.0
    confidence: Literal["avg", "max", "box_and_model_avg", "absent_model_aware_avg"] = "avg"
    vote: Share = 0.5
    compat: Literal["mistag"] | None = None
