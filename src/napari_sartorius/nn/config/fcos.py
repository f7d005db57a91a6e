"""Objects found at places of the feature maps, without anchors."""

from __future__ import annotations

from pydantic import Field, model_validator

from napari_sartorius.nn.config.tree import Tree


class FCOSConfig(Tree):
    """Fully convolutional one-stage detection (Tian et al. 2019).

    Every place of every level says which classes it sees, how far the sides of the object are, and
    how close it is to the object's middle (centerness). A level learns the objects whose farthest
    side is at most its limit away, so the limits decide which cells each level is responsible for.

    Parameters
    ----------
    class_layers, box_layers
        3x3 convolutions of the towers for classes, and for distances and centerness; all levels
        share them.
    groups
        Groups of the normalisation after each of them; divides the pyramid's width.
    level_limits
        Network pixels from a place to the farthest side of its object, up to which each level but
        the coarsest is responsible: one entry less than there are levels. Eight times the level's
        stride is published.
    centre_radius
        Places within this many strides of the object's middle learn it.
    prior
        Class probability that an untrained network gives everywhere.
    focal_alpha, focal_gamma
        Of the focal loss of the classes (Lin et al. 2017).
    candidate_score
        Class probability, before centerness is multiplied, above which a place is looked at.
    nms_iou
        Boxes of one class that overlap a better one by more than this are dropped.
    pre_nms_topk_train, pre_nms_topk_test
        Most candidates of a level.
    post_nms_topk_train, post_nms_topk_test
        Most boxes of an image.
    topk_grows, topk_area
        With the first, the limits for detecting hold for an image of `topk_area` pixels and grow
        with larger ones; else they hold for every image as published.
    """

    class_layers: int = Field(default=4, ge=0)
    box_layers: int = Field(default=4, ge=0)
    groups: int = Field(default=32, ge=1)
    level_limits: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0)
    centre_radius: float = Field(default=1.5, gt=0)
    prior: float = Field(default=0.01, gt=0, lt=1)
    focal_alpha: float = Field(default=0.25, ge=0, le=1)
    focal_gamma: float = Field(default=2.0, ge=0)
    candidate_score: float = Field(default=0.05, ge=0, lt=1)
    nms_iou: float = Field(default=0.6, gt=0, le=1)
    pre_nms_topk_train: int = Field(default=1000, ge=1)
    pre_nms_topk_test: int = Field(default=2000, ge=1)
    post_nms_topk_train: int = Field(default=300, ge=1)
    post_nms_topk_test: int = Field(default=2000, ge=1)
    topk_grows: bool = True
    topk_area: int = Field(default=512 * 512, ge=1)

    @model_validator(mode="after")
    def _limits_ascend(self) -> FCOSConfig:
        limits = self.level_limits
        if any(limit <= 0 for limit in limits) or list(limits) != sorted(set(limits)):
            raise ValueError("level_limits must be above 0 and ascend")
        return self
