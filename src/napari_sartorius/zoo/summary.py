"""What a list of models shows of each, read without knowing all that a card can say.

The classes that check a whole card take longer to make than the dock that shows the list. Cards
that ship with the package are checked by its tests, so of these only what is shown is read at
first; any other card is checked as a whole before it is listed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_sartorius.zoo.folders import CARD_FILE, SHIPPED, candidates, user_models_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_sartorius.zoo.ensemble_card import AnyCard


class CardSummary:
    """The part of a card that a list of models shows.

    Parameters
    ----------
    name, title, description, licence
        As in the card.
    categories
        Name and colour (#rrggbb) of each, in the card's order.
    views
        Test-time views of each preset of a single model; None where the whole card must be asked.
    read_whole
        Gives the whole card; see `whole`.
    """

    def __init__(
        self,
        name: str,
        title: str,
        description: str,
        licence: str,
        categories: Sequence[tuple[str, str]],
        views: Mapping[str, Sequence[str]] | None,
        read_whole: Callable[[], AnyCard],
    ) -> None:
        self.name, self.title = name, title
        self.description, self.licence = description, licence
        self.categories = tuple(categories)
        self.views = views
        self._read_whole = read_whole

    @classmethod
    def of(cls, card: AnyCard) -> CardSummary:
        """Summary of a card that was read already."""
        return cls(
            card.name,
            card.title,
            card.description,
            card.licence,
            tuple((one.name, one.colour) for one in card.categories),
            getattr(card, "views", None),  # ensembles have passes instead
            lambda: card,
        )

    def whole(self) -> AnyCard:
        """The whole card, read when it is first asked for.

        Raises
        ------
        UserError
            When it cannot be read any more.
        """
        card = self._read_whole()
        self._read_whole = lambda: card
        return card


def list_summaries() -> list[CardSummary]:
    """Of the same models, in the same order as `napari_sartorius.zoo.list_bundles` has them."""
    if candidates(user_models_folder()):
        from napari_sartorius.zoo.catalogue import list_bundles

        return [CardSummary.of(bundle.card) for bundle in list_bundles()]
    return [_shipped_summary(path) for path in candidates(SHIPPED)]


def _shipped_summary(path: Path) -> CardSummary:
    data: dict[str, Any] = json.loads((path / CARD_FILE).read_text(encoding="utf-8"))

    def read_whole() -> AnyCard:
        from napari_sartorius.zoo.bundle import open_bundle

        return open_bundle(path).card

    return CardSummary(
        data["name"],
        data["title"],
        data["description"],
        data["licence"],
        tuple((one["name"], one["colour"]) for one in data["categories"]),
        data.get("views"),
        read_whole,
    )
