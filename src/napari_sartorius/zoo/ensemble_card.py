"""An ensemble's card: which models look at an image, how often, and how their finds become one.

A pass is one walk over the image with a few models. The three passes of six models with which the
11th Sartorius place won are three entries here: one for every image, which also decides the cell
type, and one each for two of the types.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_sartorius.core.views import View
from napari_sartorius.ensemble.config import FusionConfig
from napari_sartorius.ensemble.mean_of_looks import MeanOfLooks
from napari_sartorius.ensemble.proposal_counts import CountRule  # noqa: TC001 - pydantic reads it
from napari_sartorius.ensemble.stage_config import StageFusionConfig
from napari_sartorius.zoo.card import Card, ModelCard, Thresholds, _Card

if TYPE_CHECKING:
    from collections.abc import Iterable

AnyFusion = Annotated[FusionConfig | StageFusionConfig, Field(discriminator="strategy")]
"""Fuses what models have found (`FusionConfig`), or joins the models themselves, stage by stage."""

PresetName = Literal["fast", "balanced", "best"]
STAGE_BY_STAGE = ("stage_means", "boxes_then_masks")
"""Strategies of `StageFusionConfig`."""


def _known_views(names: tuple[str, ...]) -> tuple[str, ...]:
    if len({View.parse(name) for name in names}) != len(names):
        raise ValueError("a view is named twice")
    return names


class MemberCard(_Card):
    """A model that is part of an ensemble; it is called by its own name there.

    Parameters
    ----------
    card
        Its whole card, with the checksum of its weights.
    cost
        Time of one look, relative to that of the first member; see `napari_sartorius.zoo.cost`.
    """

    card: ModelCard
    cost: float = Field(default=1.0, gt=0)


class PassMember(_Card):
    """A member that takes part in a pass, and how much it counts there."""

    name: str
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class PassCard(_Card):
    """One walk over an image.

    Parameters
    ----------
    cell_types
        Of which images it gives the objects; None for all that no other pass is for.
    members
        Who looks. What is counted in pixels of "the model's own scale" is so at the first one's.
    fusion
        How their finds become one.
    thresholds
        By category name; those of the ensemble where there is none.
    views
        How each member looks.
    """

    cell_types: tuple[str, ...] | None = Field(default=None, min_length=1)
    members: tuple[PassMember, ...] = Field(min_length=1)
    fusion: AnyFusion = Field(default_factory=MeanOfLooks)
    thresholds: dict[str, Thresholds] = Field(default_factory=dict)
    views: tuple[str, ...] = Field(default=("identity",), min_length=1)

    _check_views = field_validator("views")(_known_views)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        names = self.member_names
        if len(set(names)) != len(names):
            raise ValueError("a pass names a member twice; give it a larger weight instead")
        if self.is_stage_by_stage and "identity" not in self.views:
            raise ValueError(
                f"with {self.fusion.strategy} the view identity must be one of the views"
            )
        return self

    @property
    def member_names(self) -> list[str]:
        """Who looks."""
        return [member.name for member in self.members]

    @property
    def is_stage_by_stage(self) -> bool:
        """Whether the networks are joined, rather than what they find."""
        return self.fusion.strategy in STAGE_BY_STAGE


class PresetCard(_Card):
    """What a preset does.

    Parameters
    ----------
    members
        Instead of the passes one walk of these members is made; None makes the passes.
    views
        How they look; None leaves it to the passes, or looks once.
    fusion
        How the finds of `members` become one; None as in the first pass, or the mean for one.
    thresholds
        By category name; those of the ensemble where there is none.
    rescore
        Whether the second level judges every object.
    """

    members: tuple[str, ...] | None = Field(default=None, min_length=1)
    views: tuple[str, ...] | None = Field(default=None, min_length=1)
    fusion: AnyFusion | None = None
    thresholds: dict[str, Thresholds] = Field(default_factory=dict)
    rescore: bool = False

    @field_validator("views")
    @classmethod
    def _check_views(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return value if value is None else _known_views(value)


class CellTypeRule(_Card):
    """How the one cell type of an image is decided when the user names none.

    Parameters
    ----------
    by
        ``classifier``: a member that looks at the whole image; ``majority``: of the objects of the
        pass for all images, each counting by its score; ``proposal_counts``: of how many places of
        each size that pass proposes an object, before any is scored (its strategy must be
        ``stage_means``; presets that do not make it ask the majority); ``fixed``: always
        `category`; ``none``: an image may show several.
    member
        The classifier.
    category
        The one type.
    counts
        How counts of proposals are read.
    """

    by: Literal["classifier", "majority", "proposal_counts", "fixed", "none"] = "majority"
    member: str | None = None
    category: str | None = None
    counts: CountRule | None = None


class EnsembleCard(Card):
    """Everything that is known of an ensemble without loading weights.

    Parameters
    ----------
    kind
        Tells these cards from those of single models, which have no such entry.
    members
        All models, each once. Sizes are those of the first one, the lead.
    passes
        What the preset Best does.
    presets
        Fast is one look of the lead where nothing is said, Balanced its own balanced preset.
    cell_type
        How the type of an image is decided.
    """

    kind: Literal["ensemble"] = "ensemble"
    members: tuple[MemberCard, ...] = Field(min_length=1)
    passes: tuple[PassCard, ...] = Field(min_length=1)
    presets: dict[PresetName, PresetCard] = Field(default_factory=dict)
    cell_type: CellTypeRule = CellTypeRule()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        from napari_sartorius.zoo.ensemble_checks import check_ensemble

        check_ensemble(self)
        for thresholds in (
            *(one.thresholds for one in self.passes),
            *(one.thresholds for one in self.presets.values()),
        ):
            self._check_thresholds(thresholds)
        return self

    @property
    def member_names(self) -> list[str]:
        """Names of all members."""
        return [member.card.name for member in self.members]

    def member(self, name: str) -> MemberCard:
        """The member of this name."""
        return next(member for member in self.members if member.card.name == name)

    @property
    def lead(self) -> ModelCard:
        """Card of the first member that finds objects; its scale is the ensemble's."""
        return next(member.card for member in self.members if not member.card.is_classifier)

    @property
    def cell_diameter(self) -> float:
        """Typical diameter of an object as the lead was trained to see it, pixels."""
        return self.lead.cell_diameter

    @property
    def pixel_size(self) -> float | None:
        """Micrometres per pixel of the lead's training images; None when unknown."""
        return self.lead.pixel_size

    @property
    def max_objects(self) -> int | None:
        """The lead's limit on the objects of one tile."""
        return self.lead.max_objects

    @property
    def one_category_per_image(self) -> bool:
        """Whether an image shows objects of one category."""
        return self.cell_type.by != "none"

    @cached_property
    def sha256(self) -> str:
        """Checksum of all that decides what is found: members, passes, presets, second level."""
        said = self.model_dump_json(
            include={"members", "passes", "presets", "thresholds", "cell_type", "rescorer"}
        )
        return hashlib.sha256(said.encode()).hexdigest()

    def preset(self, name: str) -> PresetCard:
        """What a preset does, with the defaults filled in."""
        preset: PresetCard | None = self.presets.get(name)  # type: ignore[call-overload]
        if preset is not None:
            return preset
        if name == "best":
            return PresetCard(rescore=self.rescorer is not None)
        lead = self.lead
        views = lead.views.get("balanced", ()) if name == "balanced" else ()
        return PresetCard(
            members=(lead.name,), views=views or ("identity",), thresholds=lead.thresholds
        )

    def passes_of(self, preset: str) -> tuple[PassCard, ...]:
        """The passes of a preset, each with the thresholds of all categories."""
        wish = self.preset(preset)
        if wish.members is None:
            changed = [
                one if wish.views is None else one.model_copy(update={"views": wish.views})
                for one in self.passes
            ]
            return tuple(self._complete(one, wish.thresholds | one.thresholds) for one in changed)
        usual = self.passes[0].fusion if len(wish.members) > 1 else MeanOfLooks()
        one = PassCard(
            members=tuple(PassMember(name=name) for name in wish.members),
            fusion=wish.fusion or usual,
            views=wish.views or ("identity",),
        )
        return (self._complete(one, wish.thresholds),)

    def _complete(self, one: PassCard, thresholds: dict[str, Thresholds]) -> PassCard:
        full = {
            name: thresholds.get(name, self.thresholds_of(name)) for name in self.category_names
        }
        return one.model_copy(update={"thresholds": full})


AnyCard = ModelCard | EnsembleCard


def responsible(passes: Iterable[PassCard], cell_type: str | None) -> PassCard | None:
    """The pass that gives the objects of an image of this type, or of one not known yet."""
    general = None
    for one in passes:
        if one.cell_types is None:
            general = one
        elif cell_type in one.cell_types:
            return one
    return general
