"""The list of errors, with buttons and keys to walk through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QItemSelectionModel, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.ui.correct.keys import table_shortcuts
from napari_sartorius.ui.evaluate.error_model import ErrorModel
from napari_sartorius.ui.evaluate.swatch import SIDE
from napari_sartorius.ui.forms import button, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from napari_sartorius.evaluation.outcomes import Outcome
    from napari_sartorius.ui.evaluate.compared import Compared, Rows

_ROW_HEIGHT = 20
_WIDTHS = (88, 72, 42, 72, 44)
_NARROW_WIDTHS = (86, 62, 40, 62, 38, 30)  # with a column for slices


class ErrorList(QWidget):
    """One line per object, one of them current."""

    row_chosen = Signal(int)
    """The row of `Rows` that is current now, by a click, a key or a button."""
    csv_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fitted = False
        self.model = ErrorModel(self)
        self.view = QTableView()
        self.previous_button = button("Previous", "plain", "error_previous")
        self.next_button = button("Next", "plain", "error_next")
        self.csv_button = button("Save as CSV", "link", "error_csv")
        self.place = quiet()
        self.keys: dict[str, Callable[[], None]] = {
            "N": lambda: self.step(1),
            "P": lambda: self.step(-1),
        }
        self._build()
        self.previous_button.clicked.connect(lambda: self.step(-1))
        self.next_button.clicked.connect(lambda: self.step(1))
        self.csv_button.clicked.connect(self.csv_asked)
        self.view.selectionModel().currentRowChanged.connect(self._on_current)
        table_shortcuts(self, self.keys)

    def _build(self) -> None:
        view = self.view
        view.setModel(self.model)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setSortingEnabled(True)
        view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        view.horizontalHeader().setSortIndicatorClearable(True)
        view.setShowGrid(False)
        view.setIconSize(QSize(SIDE, SIDE))
        view.setWordWrap(False)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        view.horizontalHeader().setMinimumSectionSize(30)
        view.horizontalHeader().setDefaultSectionSize(_NARROW_WIDTHS[-1])
        view.horizontalHeader().setStretchLastSection(True)
        view.horizontalHeader().setHighlightSections(False)
        view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setTabKeyNavigation(False)
        view.setMinimumHeight(110)
        walk = QHBoxLayout()
        walk.setSpacing(6)
        walk.addWidget(self.previous_button)
        walk.addWidget(self.next_button)
        walk.addWidget(self.place, 1)
        walk.addWidget(self.csv_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(view, 1)
        layout.addLayout(walk)

    @property
    def current(self) -> int | None:
        """The row of `Rows` in the current line."""
        line = self.view.currentIndex().row()
        return int(self.model.order[line]) if 0 <= line < len(self.model.order) else None

    def show_rows(
        self, compared: Compared | None, rows: Rows | None, shown: Collection[Outcome]
    ) -> None:
        """Show other rows; none is current then."""
        columns = self.model.columnCount()
        with QSignalBlocker(self.view.selectionModel()):
            self.model.show_rows(compared, rows, shown)
        if columns != self.model.columnCount() or not self._fitted:
            self._fitted = True
            several = self.model.columnCount() > len(_WIDTHS)
            for column, width in enumerate(_NARROW_WIDTHS if several else _WIDTHS):
                self.view.setColumnWidth(column, width)
        self._show_place()

    def choose(self, row: int) -> None:
        """Make the line of a row of `Rows` current, if it is shown; tells nobody."""
        found = np.flatnonzero(self.model.order == row)
        if len(found):
            with QSignalBlocker(self.view.selectionModel()):
                self._make_current(int(found[0]))
            self.view.viewport().update()
        self._show_place()

    def step(self, by: int) -> None:
        """Go to another line, from the last one to the first."""
        count = self.model.rowCount()
        if not count:
            return
        line = self.view.currentIndex().row()
        self._make_current((line + by) % count if line >= 0 else (0 if by > 0 else count - 1))

    def _make_current(self, line: int) -> None:
        index = self.model.index(line, 0)
        flags = QItemSelectionModel.SelectionFlag
        self.view.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
        self.view.scrollTo(index)

    def _on_current(self, current: Any, previous: Any) -> None:
        self._show_place()
        row = self.current
        if row is not None:
            self.row_chosen.emit(row)

    def _show_place(self) -> None:
        count, line = self.model.rowCount(), self.view.currentIndex().row()
        self.place.setText(f"{line + 1:,} of {count:,}" if 0 <= line < count else f"{count:,}")
        for push in (self.previous_button, self.next_button, self.csv_button):
            push.setEnabled(count > 0)
