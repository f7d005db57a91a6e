"""A small table of names and figures that needs no scroll bars and never widens the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_NARROWEST = 40


class FigureGrid(QWidget):
    """Names in the first column, figures right-aligned in the others."""

    def __init__(self, spacing: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 2, 0, 2)
        self._grid.setHorizontalSpacing(spacing)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)

    def clear(self) -> None:
        """Take everything out."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    def put(self, row: int, column: int, text: str, *, muted: bool = False, span: int = 1) -> None:
        """Write into a cell, or over `span` columns."""
        label = QLabel(text) if column else _Name(text)
        if muted:
            set_role(label, "muted")
        if column:
            label.setAlignment(_RIGHT)
        self._grid.addWidget(label, row, column, 1, span)

    def cell(self, row: int, column: int) -> str:
        """Whole text of a cell; empty where there is none."""
        item = self._grid.itemAtPosition(row, column)
        widget = item.widget() if item is not None else None
        if isinstance(widget, _Name):
            return widget.whole
        return widget.text() if isinstance(widget, QLabel) else ""


class _Name(QLabel):
    """Text that is shortened to the width there is; the whole appears under the pointer."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.whole = text

    def minimumSizeHint(self) -> QSize:
        """Return little width."""
        return QSize(_NARROWEST, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Shorten it to the new width."""
        super().resizeEvent(event)
        middle = Qt.TextElideMode.ElideMiddle
        short = self.fontMetrics().elidedText(self.whole, middle, self.width())
        self.setText(short)
        self.setToolTip(self.whole if short != self.whole else "")
