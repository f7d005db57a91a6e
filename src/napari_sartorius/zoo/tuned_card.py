"""The thresholds that a preset goes by, wherever in a card they are: read and replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from napari_sartorius.zoo.card import ModelCard, Thresholds
from napari_sartorius.zoo.ensemble_card import EnsembleCard, PassCard, responsible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sartorius.zoo.ensemble_card import AnyCard, PresetName

OneCard = TypeVar("OneCard", ModelCard, EnsembleCard)


def thresholds_in_use(card: AnyCard, preset: str) -> dict[str, Thresholds]:
    """Thresholds that decide on the objects of images of each category, by its name.

    Parameters
    ----------
    card
        Of a model or an ensemble; the passes of an ensemble have thresholds of their own.
    preset
        How the model looks.
    """
    if isinstance(card, ModelCard):
        return {name: card.thresholds_of(name) for name in card.category_names}
    passes = card.passes_of(preset)
    return {
        name: (responsible(passes, name) or passes[0]).thresholds[name]
        for name in card.category_names
    }


def with_thresholds(card: OneCard, preset: str, news: Mapping[str, Thresholds]) -> OneCard:
    """The same card with other thresholds for some categories, where the preset looks for them.

    Those of a single model hold for all presets. Of an ensemble they go to the pass that gives the
    objects of such images, or to the preset where it has members of its own. What a category needs
    to win a vote is no threshold that is tuned: it stays.
    """
    used = thresholds_in_use(card, preset)
    news = {name: one.model_copy(update={"vote": used[name].vote}) for name, one in news.items()}
    plain = {name: one.model_dump() for name, one in news.items()}
    if isinstance(card, ModelCard):
        old = {name: one.model_dump() for name, one in card.thresholds.items()}
        return card.with_changes(thresholds=old | plain)
    wish = card.preset(preset)
    if wish.members is not None:
        changed = wish.model_copy(update={"thresholds": wish.thresholds | dict(news)})
        presets = {**card.presets, cast("PresetName", preset): changed}
        return card.with_changes(presets={name: _plain(one) for name, one in presets.items()})
    owners = {name: responsible(card.passes, name) or card.passes[0] for name in news}
    passes = [_dressed(one, owners, news) for one in card.passes]
    return card.with_changes(passes=[_plain(one) for one in passes])


def _dressed(
    one: PassCard, owners: Mapping[str, PassCard], news: Mapping[str, Thresholds]
) -> PassCard:
    own = {name: limits for name, limits in news.items() if owners[name] is one}
    return one.model_copy(update={"thresholds": one.thresholds | own})


def _plain(part: Any) -> dict[str, Any]:
    plain: dict[str, Any] = part.model_dump()
    return plain
