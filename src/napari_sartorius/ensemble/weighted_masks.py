"""Weighted masks fusion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_sartorius.ensemble.options import FusionOptions, Overlap, Share


class WeightedMasks(FusionOptions):
    """Options of weighted masks fusion.

    Attributes
    ----------
    iou
        A box joins the fused box that it overlaps most, if by more than this.
    min_score
        Objects need a higher score than this to take part.
    confidence
        What the best member's score is multiplied by, see `mask_confidence`.
    soft_weight
        How gently missing looks lower the score, 0 or more.
    min_members
        Clusters with fewer members are dropped.
    vote
        Score-weighted share of the members that must cover a pixel.
    compat
        ``"original"`` repeats the published code.
    """

    strategy: Literal["weighted_masks"] = "weighted_masks"
    iou: Overlap = 0.7
    min_score: Share = 0.0
    confidence: Literal["max_weight", "max", "soft_weight", "model_weight", "model_weight2"] = (
        "max_weight"
    )
    soft_weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 5.0
    min_members: Annotated[int, Field(ge=1)] = 1
    vote: Share = 0.5
    compat: Literal["original"] | None = None
