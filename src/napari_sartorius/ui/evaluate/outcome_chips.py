"""One button per outcome: its colour, how many there are, and whether they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_sartorius.ui.evaluate.compared import ORDER
from napari_sartorius.ui.evaluate.wording import COLOURS, HINTS, NAMES
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from napari_sartorius.evaluation.outcomes import Outcome, OutcomeCounts

_SWATCH = 9


class OutcomeChips(QWidget):
    """Legend and filter in one."""

    changed = Signal()
    """Other outcomes are shown now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[Outcome, QPushButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        for outcome in ORDER:
            push = QPushButton()
            set_role(push, "filter")
            push.setCheckable(True)
            push.setChecked(True)
            push.setIcon(_swatch(COLOURS[outcome]))
            push.setIconSize(QSize(_SWATCH, _SWATCH))
            push.setToolTip(f"{HINTS[outcome]} Click to hide or show them.")
            push.toggled.connect(lambda _: self.changed.emit())
            row.addWidget(push, 1)
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


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(QColor(colour))
    return QIcon(pixmap)
