"""Mask clusters with a vote per pixel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_sartorius.ensemble.options import FusionOptions, Overlap, Share


class MaskClusters(FusionOptions):
    """Options of clustering by masks with a vote per pixel.

    Attributes
    ----------
    iou
        Masks that overlap more than this with the best mask of a cluster belong to it.
    min_score
        Objects with a lower score are left out before fusing.
    vote
        Share of the members whose masks must cover a pixel for it to belong to the object.
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
