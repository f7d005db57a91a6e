"""What a preset costs before it runs: time relative to one look of the preset Fast.

The unit is one look of the model that looks in Fast, at the size at which it sees the image. Every
further look counts by the square of its view's scale and, in an ensemble, by the member's cost
relative to that one's (`napari_sartorius.zoo.cost`). Fusing and filtering are left out: they take a
few per cent. Heads cost more where there are more cells, so the factor is a rough one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_sartorius.core.wording import plural
from napari_sartorius.zoo.summary import CardSummary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_sartorius.zoo.card import ModelCard
    from napari_sartorius.zoo.ensemble_card import EnsembleCard, PassCard


class PresetCost(NamedTuple):
    """What one image costs.

    Attributes
    ----------
    least, most
        Time relative to one look of the preset Fast; they differ where the cell type decides
        which passes are made.
    looks
        Looks at an image at most.
    models
        Models that look at an image at most.
    """

    least: float
    most: float
    looks: int
    models: int

    @property
    def words(self) -> str:
        """For example ``about 8 x the time of Fast``."""
        if self.most < 1.05:
            return "the time of Fast"
        low, high = _rounded(self.least), _rounded(self.most)
        return f"about {high if low == high else f'{low} to {high}'} x the time of Fast"

    @property
    def sentence(self) -> str:
        """For example ``3 models, 12 looks, about 8 x the time of Fast``."""
        parts = [plural(self.models, "model")] if self.models > 1 else []
        return ", ".join([*parts, plural(self.looks, "look"), self.words])


def preset_cost(card: ModelCard | EnsembleCard | CardSummary, preset: str) -> PresetCost:
    """What a preset of a model or an ensemble costs."""
    if isinstance(card, CardSummary):
        if card.views is not None:
            return _single_cost(card.views, preset)
        card = card.whole()
    from napari_sartorius.zoo.card import ModelCard

    if isinstance(card, ModelCard):
        return _single_cost(card.views, preset)
    passes = card.passes_of(preset)
    general = next((one for one in passes if one.cell_types is None), None)
    special = [one for one in passes if one.cell_types is not None]
    rule = card.cell_type.by
    first = card.member(card.cell_type.member).cost if card.cell_type.member else 0.0
    routes: list[list[PassCard]] = [[one] for one in special]
    if general is not None:
        decides = rule == "majority"
        routes = [[general], *([general, one] if decides else [one] for one in special)]
    unit = first + min(pass_cost(card, one) for one in card.passes_of("fast"))
    sums = [(first + sum(pass_cost(card, one) for one in route)) / unit for route in routes]
    looks = [sum(len(one.members) * len(one.views) for one in route) for route in routes]
    models = [len({name for one in route for name in one.member_names}) for route in routes]
    return PresetCost(min(sums), max(sums), max(looks), max(models))


def _single_cost(views: Mapping[str, Sequence[str]], preset: str) -> PresetCost:
    """What a preset of a single model with these views of each preset costs."""
    looks = views.get(preset) or ("identity",)
    cost = views_cost(looks) / views_cost(views.get("fast") or ("identity",))
    return PresetCost(cost, cost, len(looks), 1)


def pass_cost(card: EnsembleCard, one: PassCard) -> float:
    """Time of a pass, in looks of the ensemble's first member."""
    return sum(card.member(name).cost for name in one.member_names) * views_cost(one.views)


def views_cost(views: Sequence[str]) -> float:
    """Time of several views, in looks at the usual scale."""
    return sum(_scale(name) ** 2 for name in views)


def _scale(view: str) -> float:
    """Scale of a view; the usual one for a view that does not exist, which the run will say."""
    if "@" not in view:
        return 1.0
    from napari_sartorius.core.views import View

    try:
        return View.parse(view).scale
    except ValueError:
        return 1.0


def _rounded(factor: float) -> str:
    return f"{factor:.0f}" if factor >= 3 or factor == round(factor) else f"{factor:.1f}"
