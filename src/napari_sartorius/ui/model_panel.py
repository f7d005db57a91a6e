"""Which model to use, for which cells, and with how much effort."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_sartorius.core.wording import plural
from napari_sartorius.inference.cost import preset_cost
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import (
    add_row,
    heading,
    new_form,
    quiet,
    set_row_visible,
    under_field,
)
from napari_sartorius.ui.model_card import ModelCardView
from napari_sartorius.ui.run_panel import duration
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.tooltips import tooltip
from napari_sartorius.zoo.summary import CardSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sartorius.inference.cost import PresetCost
    from napari_sartorius.zoo.ensemble_card import AnyCard

PRESETS = {"fast": "Fast", "balanced": "Balanced", "best": "Best"}
"""Title of each preset."""


def preset_text(preset: str, cost: PresetCost | None, seconds: float | None = None) -> str:
    """Return one line on what a preset does and costs.

    Parameters
    ----------
    preset : str
        Its name.
    cost : PresetCost or None
        What it costs with the chosen model.
    seconds : float, optional
        What the chosen image will take here, when that can be told.
    """
    here = ""
    if seconds is not None:
        here = f", {duration(seconds) if seconds >= 1.0 else 'less than 1 s'} here"
    if cost is None or cost.looks <= 1:
        return f"Looks at the image once: quickest{here}."
    gain = "most thorough" if preset == "best" else "steadier"
    views = cost.looks // max(cost.models, 1)
    if cost.models > 1:
        what = f"Joins {plural(cost.looks, 'look')} of {plural(cost.models, 'model')}"
    else:
        what = f"Joins {plural(views, 'view')}"
    return f"{what}: {gain}, {cost.words}{here}."


class PresetSwitch(QWidget):
    """Three buttons side by side of which one is pressed."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        for name, title in PRESETS.items():
            push = QPushButton(title)
            push.setCheckable(True)
            push.setToolTip(tooltip("preset"))
            set_role(push, "segment")
            self._group.addButton(push)
            self._buttons[name] = push
            layout.addWidget(push, 1)
        self._buttons["balanced"].setChecked(True)
        self._group.buttonClicked.connect(self._on_clicked)

    @property
    def value(self) -> str:
        """Name of the pressed preset."""
        return next(name for name, push in self._buttons.items() if push.isChecked())

    def set_value(self, name: str) -> None:
        """Press a preset."""
        self._buttons[name].setChecked(True)
        self.changed.emit()

    def _on_clicked(self) -> None:
        self.changed.emit()


class ModelPanel(QWidget):
    """The section "Model" of the Segment tab.

    Parameters
    ----------
    cards : sequence of CardSummary, ModelCard or EnsembleCard
        What can be chosen, in order; the whole card of a summary is read when it is needed.
    default : str
        Name of the model to preselect; an unknown name selects the first.
    """

    model_changed = Signal(object)
    """Emitted with the summary of the chosen card or None."""
    changed = Signal()
    """Emitted on any change in this section."""

    def __init__(
        self,
        cards: Sequence[AnyCard | CardSummary],
        default: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._offered: list[CardSummary] = []
        self.expected_seconds: Callable[[CardSummary, str], float | None] = lambda card, preset: (
            None
        )
        self.models = Choice()
        self.card_view = ModelCardView()
        self.cell_type = Choice()
        self.preset = PresetSwitch()
        self.preset_text = quiet()
        form = new_form()
        add_row(form, "Network", self.models, "model")
        below = new_form()
        add_row(below, "Cell type", self.cell_type, "cell_type")
        label = add_row(below, "Effort", self.preset)
        label.setToolTip(tooltip("preset"))
        self._below = below
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(heading("Model"))
        layout.addLayout(form)
        layout.addWidget(self.card_view)
        layout.addLayout(below)
        layout.addLayout(under_field(self.preset_text))

        self.models.currentIndexChanged.connect(self._on_model)
        self.cell_type.currentIndexChanged.connect(self.changed)
        self.preset.changed.connect(self._on_preset)
        self.set_cards(cards, default)

    @property
    def chosen(self) -> CardSummary | None:
        """What a list shows of the chosen model."""
        position = self.models.currentIndex()
        return self._offered[position] if 0 <= position < len(self._offered) else None

    @property
    def card(self) -> AnyCard | None:
        """The chosen model's whole card."""
        chosen = self.chosen
        return chosen.whole() if chosen is not None else None

    @property
    def offered(self) -> list[CardSummary]:
        """All that can be chosen."""
        return list(self._offered)

    @property
    def cell_type_value(self) -> str:
        """``auto`` or the name of a category."""
        return str(self.cell_type.currentData() or "auto")

    def set_cards(self, cards: Sequence[AnyCard | CardSummary], default: str = "") -> None:
        """Offer these models and select the one named `default`."""
        self._offered = [
            one if isinstance(one, CardSummary) else CardSummary.of(one) for one in cards
        ]
        with QSignalBlocker(self.models):
            self.models.clear()
            for card in self._offered:
                self.models.addItem(card.title or card.name, card.name)
            if not self._offered:
                self.models.addItem("no model is installed")
            elif not self.models.select_data(default):
                self.models.setCurrentIndex(0)
        self.models.setEnabled(bool(self._offered))
        self._on_model()

    def _on_model(self) -> None:
        card = self.chosen
        self.card_view.show_card(card)
        with QSignalBlocker(self.cell_type):
            self.cell_type.clear()
            self.cell_type.addItem("Automatic", "auto")
            for name, _ in card.categories if card is not None else ():
                self.cell_type.addItem(name, name)
        several = card is not None and len(card.categories) > 1
        set_row_visible(self._below, self.cell_type, several)
        self.model_changed.emit(card)
        self._on_preset()

    def show_cost(self) -> None:
        """Say again what the preset does and costs; something that decides it has changed."""
        card, preset = self.chosen, self.preset.value
        cost = preset_cost(card, preset) if card is not None else None
        seconds = self.expected_seconds(card, preset) if card is not None else None
        self.preset_text.setText(preset_text(preset, cost, seconds))

    def _on_preset(self) -> None:
        self.show_cost()
        self.changed.emit()
