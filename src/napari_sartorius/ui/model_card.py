"""Shows what a user must know before trusting a model: what it finds, under which licence."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from napari_sartorius.ui.forms import Fold, quiet, set_shown
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.zoo.ensemble_card import AnyCard
    from napari_sartorius.zoo.summary import CardSummary


_MANY = 12  # published networks know eighty kinds of things


def chips(categories: Sequence[tuple[str, str]]) -> str:
    """Return rich text with a coloured dot in front of each category's name."""
    shown = [
        f'<span style="color:{colour}">●</span>&nbsp;{html.escape(name)}'
        for name, colour in categories[:_MANY]
    ]
    if len(categories) > _MANY:
        shown.append(f"and&nbsp;{len(categories) - _MANY}&nbsp;more")
    return "&nbsp;&nbsp; ".join(shown)


def size_text(card: AnyCard) -> str:
    """Return how large a cell looked in training, for example ``about 20 px (13 µm) across``."""
    text = f"about {card.cell_diameter:.0f} px"
    if card.pixel_size:
        text += f" ({card.cell_diameter * card.pixel_size:.0f} µm)"
    return text + " across"


def metrics_text(metrics: dict[str, float]) -> str:
    """Return the card's metrics as one line, largest group first as the card has them."""
    from napari_sartorius.zoo.wording import wording

    return " · ".join(
        f"{html.escape(wording(name))} {value:.3g}" for name, value in metrics.items()
    )


def members_text(card: AnyCard) -> str:
    """Return the members of an ensemble as rich text; empty for a single model."""
    from napari_sartorius.zoo.card import ModelCard

    if isinstance(card, ModelCard):
        return ""
    return "; ".join(
        f"{html.escape(one.card.title)} ({html.escape(one.card.name)})" for one in card.members
    )


class ModelCardView(QFrame):
    """The facts of one model: the main ones always, the rest under "Details"."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "card")
        self.description = quiet(role="body")
        self.categories = quiet(role="body")
        self.categories.setTextFormat(Qt.TextFormat.RichText)
        self.licence = quiet()
        self._card: CardSummary | None = None
        self.more = Fold("Details", "fold", self._make_details)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(4)
        for widget in (self.description, self.categories, self.licence, self.more):
            layout.addWidget(widget)

    @property
    def details(self) -> QLabel:
        """The rest of the facts."""
        return self.more.content

    def _make_details(self) -> QLabel:
        details = quiet(_details_text(self._card))
        details.setTextFormat(Qt.TextFormat.RichText)
        return details

    def show_card(self, card: CardSummary | None) -> None:
        """Fill in a card, or say that there is no model."""
        self._card = card
        for widget in (self.more, self.categories, self.licence):
            set_shown(widget, card is not None)
        if card is None:
            self.description.setText("No model is installed.")
            return
        self.description.setText(card.description)
        self.categories.setText(chips(card.categories))
        self.licence.setText(f"Licence: {card.licence}")
        if self.more.is_made:
            self.details.setText(_details_text(card))


def _details_text(summary: CardSummary | None) -> str:
    """Return what is under "Details", as rich text; the whole card is read for it."""
    if summary is None:
        return ""
    card = summary.whole()
    rows = [
        ("Cells", f"{size_text(card)} in the training images"),
        ("Members", members_text(card)),
        ("Measured", metrics_text(card.metrics)),
        ("Trained on", html.escape(card.training_data)),
        ("Known failures", html.escape(" ".join(card.known_failures))),
        ("Cite", html.escape(card.citation)),
    ]
    return "".join(f"<p style='margin:2px 0'><b>{k}</b>&nbsp; {v}</p>" for k, v in rows if v)
