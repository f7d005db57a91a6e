"""Cascade Mask R-CNN."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

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

    @model_validator(mode="after")
    def _one_box_each(self) -> CascadeMaskRCNNConfig:
        if not self.box_head.class_agnostic:
            raise ValueError("a cascade refines one box for all classes: set class_agnostic")
        return self
