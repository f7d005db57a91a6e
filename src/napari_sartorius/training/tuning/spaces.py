"""What can be tuned of a card: its thresholds, or, where a second level judges, that one's limit.

A second level has learnt from objects that the card's thresholds let through. With others it
would be asked about objects of a kind that it has never seen, so where it is used only its own
limit moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.second_level import is_wanted
from napari_sartorius.training.tuning.config import TuningConfig
from napari_sartorius.training.tuning.trials import JudgedImage, Packed, ThresholdImage
from napari_sartorius.zoo.card import Thresholds
from napari_sartorius.zoo.ensemble_card import AnyCard
from napari_sartorius.zoo.tuned_card import thresholds_in_use, with_thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.inference.selection import Selection
    from napari_sartorius.training.tuning.segmenters import Raw
    from napari_sartorius.training.tuning.trials import Choice, TrialImage


class Space(Protocol):
    """The values of a card that are tuned, a few per category."""

    @property
    def grid(self) -> dict[str, tuple[float, ...]]:
        """Values that are tried, by name."""
        ...

    @property
    def start(self) -> dict[str, Choice]:
        """What the card has, by category name."""
        ...

    def changed(self, choices: Mapping[str, Choice]) -> AnyCard:
        """The card with other values for some categories."""
        ...

    def raw_cards(self) -> dict[float, AnyCard]:
        """Cards with which an image is segmented before trials, by what tells them apart."""
        ...

    def image(self, truth: Instances, raw: Mapping[float, Raw], selection: Selection) -> TrialImage:
        """An image that was segmented with these cards, ready for trials."""
        ...


def space_of(card: AnyCard, config: TuningConfig) -> ThresholdSpace | SecondLevelSpace:
    """What is tuned of a card: it depends on whether the preset uses its second level."""
    if card.rescorer is not None and is_wanted(card, SegmentConfig(preset=config.preset)):
        return SecondLevelSpace(card, config)
    return ThresholdSpace(card, config)


@dataclass(frozen=True, eq=False)
class ThresholdSpace:
    """Smallest score, mask probability, mask NMS and smallest size."""

    card: AnyCard
    config: TuningConfig

    @property
    def grid(self) -> dict[str, tuple[float, ...]]:
        """Values that are tried, by name."""
        sizes = self.config.sizes_for(self.card.lead.cell_diameter)
        return {
            "score": self.config.scores,
            "mask": self.config.masks,
            "nms": self.config.overlaps,
            "min_size": tuple(map(float, sizes)),
        }

    @property
    def _in_use(self) -> dict[str, Thresholds]:
        return thresholds_in_use(self.card, self.config.preset)

    @property
    def start(self) -> dict[str, Choice]:
        """Thresholds of the card."""
        return {
            name: (one.score, one.mask, one.nms, float(one.min_size))
            for name, one in self._in_use.items()
        }

    def changed(self, choices: Mapping[str, Choice]) -> AnyCard:
        """The card with other thresholds."""
        news = {name: thresholds_from(choice) for name, choice in choices.items()}
        return with_thresholds(self.card, self.config.preset, news)  # type: ignore[type-var]

    def raw_cards(self) -> dict[float, AnyCard]:
        """One per mask probability; all keep every object that may be wanted."""
        own = self._in_use
        lowest = min(self.config.scores[0], *(one.score for one in own.values()))
        masks = sorted({*self.config.masks, *(one.mask for one in own.values())})
        return {
            mask: with_thresholds(  # type: ignore[type-var]
                self.card,
                self.config.preset,
                dict.fromkeys(own, Thresholds(score=lowest, mask=mask, nms=1.0, min_size=0)),
            )
            for mask in masks
        }

    def image(
        self, truth: Instances, raw: Mapping[float, Raw], selection: Selection
    ) -> ThresholdImage:
        """An image with its objects at every mask probability."""
        levels = {mask: Packed(one.objects) for mask, one in raw.items()}
        factor = next(iter(raw.values())).area_factor
        return ThresholdImage(truth, levels, selection, factor, self.config.variant)


@dataclass(frozen=True, eq=False)
class SecondLevelSpace:
    """Smallest predicted IoU."""

    card: AnyCard
    config: TuningConfig

    @property
    def grid(self) -> dict[str, tuple[float, ...]]:
        """Values that are tried."""
        return {"min_predicted_iou": self.config.predicted_ious}

    @property
    def start(self) -> dict[str, Choice]:
        """Limits of the card."""
        assert self.card.rescorer is not None
        limits = self.card.rescorer.min_predicted_iou
        return {name: (limits.get(name, 0.0),) for name in self.card.category_names}

    def changed(self, choices: Mapping[str, Choice]) -> AnyCard:
        """The card with other limits."""
        return self._with(
            {name: choice[0] for name, choice in (self.start | dict(choices)).items()}
        )

    def raw_cards(self) -> dict[float, AnyCard]:
        """The one with which nothing is dropped or ranked, but everything judged."""
        return {0.0: self._with({}, rank="score")}

    def image(
        self, truth: Instances, raw: Mapping[float, Raw], selection: Selection
    ) -> JudgedImage:
        """An image with its judged objects."""
        assert self.card.rescorer is not None
        (one,) = raw.values()
        rank, variant = self.card.rescorer.rank, self.config.variant
        return JudgedImage(truth, one.objects, selection, one.area_factor, rank, variant)

    def _with(self, limits: dict[str, float], **changes: object) -> AnyCard:
        assert self.card.rescorer is not None
        own = self.card.rescorer.model_dump() | {"min_predicted_iou": limits} | changes
        return self.card.with_changes(rescorer=own)


def thresholds_from(choice: Choice) -> Thresholds:
    """Entry of a card for a choice."""
    score, mask, nms, size = choice
    return Thresholds(score=score, mask=mask, nms=nms, min_size=round(size))
