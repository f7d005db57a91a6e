"""Cascade Mask R-CNN."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_sartorius.nn.config.mask_rcnn import MaskRCNNConfig
from napari_sartorius.nn.config.tree import Tree


class CascadeStageConfig(Tree):
    """What a later box head of a cascade does differently from the first.

    Parameters
    ----------
    delta_weights
        Its box coding: later stages move boxes less.
    positive_iou
        Overlap from which a box counts as its true object in training: later stages ask for more.
    """

    delta_weights: tuple[float, float, float, float]
    positive_iou: float = Field(gt=0, lt=1)


class CascadeMaskRCNNConfig(MaskRCNNConfig):
    """Mask R-CNN whose boxes pass through several heads, each stricter (Cai and Vasconcelos 2018).

    Heads with one box for each class (`class_agnostic` false) hand on the box of the likeliest one,
    as mmdetection does; detectron2 only has those with one box for all.

    Parameters
    ----------
    box_head
        The first head; the later ones have its sizes.
    stages
        The later heads.
    """

    family: Literal["cascade_mask_rcnn"] = "cascade_mask_rcnn"  # type: ignore[assignment]
    stages: tuple[CascadeStageConfig, ...] = Field(
        default=(
            CascadeStageConfig(delta_weights=(20.0, 20.0, 10.0, 10.0), positive_iou=0.6),
            CascadeStageConfig(delta_weights=(30.0, 30.0, 15.0, 15.0), positive_iou=0.7),
        ),
        min_length=1,
    )
