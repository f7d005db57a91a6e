"""Room for a table that shows whole rows only, however high the room is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSize
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from qtpy.QtWidgets import QTableView


class WholeRows(QWidget):
    """Leaves empty below a table what is lower than a row, where Qt would cut one in half.

    Parameters
    ----------
    view : QTableView
        All its rows have the height that its vertical header has set.
    """

    def __init__(self, view: QTableView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = view
        view.setParent(self)
        view.viewport().installEventFilter(self)  # a scroll bar or header may come and go

    def sizeHint(self) -> QSize:
        """Return that of the table."""
        return self._view.sizeHint()

    def resizeEvent(self, event: Any) -> None:
        """Give the table what it can use."""
        super().resizeEvent(event)
        self._fit()

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Follow the room that is left for rows; holds nothing up."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def _fit(self) -> None:
        view, row = self._view, self._view.verticalHeader().defaultSectionSize()
        around = view.height() - view.viewport().height()  # header, scroll bar, frame
        rows = max((self.height() - around) // row, 1)
        size = QSize(self.width(), min(around + rows * row, self.height()))
        if size != view.size():
            view.resize(size)
