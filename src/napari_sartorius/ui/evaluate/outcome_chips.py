"""One button per outcome: its colour, how many there are, and whether they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget

from napari_sartorius.evaluation.outcome_colours import OUTCOMES
from napari_sartorius.ui.evaluate.compared import ORDER
from napari_sartorius.ui.evaluate.swatch import SIDE, swatch
from napari_sartorius.ui.evaluate.wording import HINTS, NAMES
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from napari_sartorius.evaluation.outcomes import Outcome, OutcomeCounts

_COLUMNS = 3


class OutcomeChips(QWidget):
    """Legend and filter in one."""

    changed = Signal()
    """Other outcomes are shown now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[Outcome, QPushButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        for place, outcome in enumerate(ORDER):
            push = QPushButton()
            set_role(push, "filter")
            push.setCheckable(True)
            push.setChecked(True)
            push.setIcon(swatch(OUTCOMES[outcome]))
            push.setIconSize(QSize(SIDE, SIDE))
            push.setToolTip(f"{HINTS[outcome]} Click to hide or show them.")
            push.toggled.connect(lambda _: self.changed.emit())
            grid.addWidget(push, place // _COLUMNS, place % _COLUMNS)
            self.buttons[outcome] = push

    @property
    def shown(self) -> set[Outcome]:
        """Outcomes that are to be shown."""
        return {outcome for outcome, push in self.buttons.items() if push.isChecked()}

    def show_counts(self, counts: OutcomeCounts) -> None:
        """Write how many there are."""
        numbers = (counts.missed, counts.extra, counts.merged, counts.split, counts.matched)
        for (outcome, push), number in zip(self.buttons.items(), numbers, strict=True):
            push.setText(f"{number:,} {NAMES[outcome]}")
