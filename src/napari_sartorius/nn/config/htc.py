"""Hybrid Task Cascade."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from napari_sartorius.nn.config.cascade import CascadeMaskRCNNConfig
from napari_sartorius.nn.config.heads import PoolerConfig
from napari_sartorius.nn.config.tree import Tree


class SemanticConfig(Tree):
    """Branch that tells for every pixel whether it is within an object, whichever it is.

    Parameters
    ----------
    level
        Pyramid level, 0 is the finest, to whose size all levels are brought before they are added.
    layers
        3x3 convolutions after that.
    classes
        Outputs for each pixel; 0 is the background and 1 what lies within an object. Networks that
        were trained on further classes keep theirs, which are not read.
    pooler
        How its features are read for a box; they are averaged down to the size of the others.
    loss_weight
        Weight of its cross-entropy in training.
    """

    level: int = Field(default=1, ge=0)
    layers: int = Field(default=4, ge=0)
    classes: int = Field(default=2, ge=2)
    pooler: PoolerConfig = PoolerConfig(resolution=14, sampling_ratio=1)
    loss_weight: float = Field(default=0.2, ge=0)


class HTCConfig(CascadeMaskRCNNConfig):
    """Hybrid Task Cascade (Chen et al. 2019): a cascade in which masks are refined as boxes are.

    There is a mask head for every box head. When detecting, class logits are averaged over the box
    heads before the softmax, and mask probabilities over the mask heads, as mmdetection does. With
    `interleaved` and `mask_flow` off and no `semantic` branch it is mmdetection's Cascade Mask
    R-CNN.

    Parameters
    ----------
    interleaved
        In training a mask head learns from the boxes that the box head of its stage made, not from
        those that it was given.
    mask_flow
        Every mask head also sees the features of the one before it.
    semantic
        Branch whose features are added to those of boxes and masks; None leaves it out.
    stage_losses
        Weight of the losses of each stage.
    """

    family: Literal["htc"] = "htc"  # type: ignore[assignment]
    interleaved: bool = True
    mask_flow: bool = True
    semantic: SemanticConfig | None = SemanticConfig()
    stage_losses: tuple[float, ...] = (1.0, 0.5, 0.25)

    @model_validator(mode="after")
    def _stages_agree(self) -> HTCConfig:
        if len(self.stage_losses) != 1 + len(self.stages):
            raise ValueError("stage_losses needs one weight for each box head")
        if self.semantic is not None and self.semantic.level >= 4 + self.pyramid.extra_level:
            raise ValueError("the level of the semantic branch is none of the pyramid's")
        return self
