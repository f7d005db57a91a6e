"""How networks are joined into one that works stage by stage: settings, without torch.

Both strategies need networks that can be given boxes; `napari_sartorius.ensemble.join.join` makes
one of them that detects like any other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from napari_sartorius.core.views import View

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class _StageConfig(BaseModel):
    """What both strategies share.

    Attributes
    ----------
    views
        How every network looks at an image, as `napari_sartorius.core.views.View` reads them.
    half_pixel_shift
        Move boxes half a pixel against the reversed axes of a view, within it, before the heads
        look there. Only for networks whose RoI operator is not symmetric; all of ours with aligned
        pooling are.
    vote_score
        Probability of an object's category from which a look counts as having found it; decides
        the columns ``votes``, ``members`` and ``agreement`` and nothing else.
    rescore
        Multiply the score of every object by the mean probability of its mask's pixels of at
        least 0.5 (1st place of the challenge).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    views: tuple[str, ...] = ("identity",)
    half_pixel_shift: bool = False
    vote_score: Fraction = 0.3
    rescore: bool = False

    @field_validator("views")
    @classmethod
    def _known_views(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        views = [View.parse(name) for name in value]
        if len(set(views)) != len(views):
            raise ValueError("a view is named twice")
        return value

    @property
    def parsed_views(self) -> tuple[View, ...]:
        """The views as objects."""
        return tuple(View.parse(name) for name in self.views)


class StageMeansConfig(_StageConfig):
    """Proposals, boxes and masks are averaged over networks and views (11th place).

    Proposals come from the view ``identity``, which must be one of the views. None means "as the
    first network's own settings" or "as the caller's limits".

    Attributes
    ----------
    proposal_score
        Proposals at or below this objectness, 0..1, are dropped; the 11th place used 0.9 to 0.95.
    proposal_nms
        IoU, 0..1, from which the lower-scored of two proposals of one level is dropped.
    proposals_per_level
        Most proposals of one level before that.
    box_nms
        IoU, 0..1, from which the lower-scored of two boxes is dropped.
    class_agnostic_nms
        Every box is of its best category only and may drop boxes of all categories, as the 11th
        place had it. Else as single networks do: every category of a box above the limit is an
        object, and drops those of the same category.
    """

    strategy: Literal["stage_means"] = "stage_means"
    proposal_score: Fraction = 0.0
    proposal_nms: Fraction | None = None
    proposals_per_level: Annotated[int, Field(ge=1)] | None = None
    box_nms: Fraction | None = None
    class_agnostic_nms: bool = False

    @field_validator("views")
    @classmethod
    def _has_identity(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if View() not in [View.parse(name) for name in value]:
            raise ValueError("the view identity must be one of the views")
        return value


class BoxesThenMasksConfig(_StageConfig):
    """Boxes of all networks side by side, masks averaged over networks on each (7th place).

    Attributes
    ----------
    member_nms, box_nms
        IoU, 0..1, from which the lower-scored of two boxes of one category is dropped, within one
        network and among all; at 0.99 nearly every box stays, and the masks' overlap decides later.
    max_boxes
        Most boxes of one image, best first. The caller's limit on detections holds as well where
        it is lower.
    """

    strategy: Literal["boxes_then_masks"] = "boxes_then_masks"
    member_nms: Fraction = 0.99
    box_nms: Fraction = 0.99
    max_boxes: Annotated[int, Field(ge=1)] = 10_000


StageFusionConfig = Annotated[
    StageMeansConfig | BoxesThenMasksConfig, Field(discriminator="strategy")
]
_ANY: TypeAdapter[StageMeansConfig | BoxesThenMasksConfig] = TypeAdapter(StageFusionConfig)


def read_stage_config(data: Any) -> StageMeansConfig | BoxesThenMasksConfig:
    """Settings of either strategy from plain data; raises pydantic's ``ValidationError``."""
    return _ANY.validate_python(data)
