"""One line per slice of a stack: how many cells are right in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_sartorius.ui.evaluate.compared import SliceFigures

_TITLES = ("slice", "true", "found", "matched", "precision", "mAP")
_HINTS = (
    "Where in the stack.",
    "True cells.",
    "Found cells.",
    "Found cells that are a true one each, at the slider's overlap.",
    "Matched cells, as a share of all that were matched, missed or found in vain.",
    "The competition's: precision averaged over the overlaps 0.50 to 0.95.",
)
_WIDTHS = (40, 42, 48, 62, 70)
_ROW_HEIGHT, _HEIGHT = 20, 110
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class SliceTable(QTableWidget):
    """Figures of each slice; a click shows the slice."""

    slice_asked = Signal(int)
    """Position of a slice in the comparison."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_TITLES), parent)
        self.setHorizontalHeaderLabels(_TITLES)
        for column, hint in enumerate(_HINTS):
            self.horizontalHeaderItem(column).setToolTip(hint)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.horizontalHeader().setMinimumSectionSize(30)
        self.horizontalHeader().setDefaultSectionSize(_WIDTHS[0])
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setDefaultAlignment(_RIGHT)
        for column, width in enumerate(_WIDTHS):
            self.setColumnWidth(column, width)
        self.horizontalHeader().setStretchLastSection(True)
        self.setFixedHeight(_HEIGHT)
        self.currentCellChanged.connect(self._on_current)

    def show_slices(self, figures: Sequence[SliceFigures]) -> None:
        """Write the figures of each slice; the current line stays."""
        with QSignalBlocker(self):
            self.setRowCount(len(figures))
            for row, one in enumerate(figures):
                texts = (
                    ", ".join(str(at) for at in one.place),
                    f"{one.truths:,}",
                    f"{one.predictions:,}",
                    f"{one.matched:,}",
                    f"{one.precision:.2f}",
                    f"{one.competition_score:.3f}",
                )
                for column, text in enumerate(texts):
                    item = QTableWidgetItem(text)
                    item.setTextAlignment(_RIGHT)
                    self.setItem(row, column, item)

    def _on_current(self, row: int, column: int, before: int, before_column: int) -> None:
        if row >= 0 and row != before:
            self.slice_asked.emit(row)
