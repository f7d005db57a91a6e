"""A combo box for a narrow dock, which makes its list when it is needed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSignalBlocker, QSize, Qt
from qtpy.QtGui import QFontMetricsF
from qtpy.QtWidgets import (
    QComboBox,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from napari_sartorius.ui.wheel import is_passed_on

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtCore import QAbstractItemModel
    from qtpy.QtGui import QEnterEvent, QFocusEvent, QKeyEvent, QPaintEvent, QWheelEvent
    from qtpy.QtWidgets import QAbstractItemView

_SHORTEST = 6
"""Characters for which there is room at least."""
_TEXT_MARGIN = 4
_LOWEST_TEXT = 14  # as in Qt
_LOOKS = (QEvent.Type.StyleChange, QEvent.Type.FontChange, QEvent.Type.PaletteChange)


class Choice(QComboBox):
    """A combo box that does not widen the dock and that ignores the wheel until it is clicked.

    Turning the wheel over a scrolling panel must scroll it, not change what is under the pointer.

    For each box with an entry Qt makes and styles a window with a list and its scroll bars, ten
    widgets, which is noticeable when a dock opens. So the entries are kept here until the pointer
    or the keyboard comes to the box, and are Qt's from then on.
    """

    cut = Qt.TextElideMode.ElideRight
    """Where a long entry is shortened in the closed box."""

    _entries: list[tuple[str, Any]] | None = None

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries = []
        self._current = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return the size for a few characters, whatever the entries are."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        metrics = QFontMetricsF(self.font())
        height = max(math.ceil(metrics.height()), _LOWEST_TEXT) + 2
        inside = QSize(math.ceil(_SHORTEST * metrics.horizontalAdvance("X")), height)
        return self.style().sizeFromContents(QStyle.ContentsType.CT_ComboBox, option, inside, self)

    def minimumSizeHint(self) -> QSize:
        """Return the same."""
        return self.sizeHint()

    # What is asked of the box while the entries are kept here, with Qt's names and meaning.

    def count(self) -> int:
        """Return how many entries there are."""
        return super().count() if self._entries is None else len(self._entries)

    def addItem(self, text: str, data: object = None) -> None:
        """Add an entry; the first one is chosen."""
        if self._entries is None:
            super().addItem(text, data)
            return
        self._entries.append((text, data))
        if len(self._entries) == 1:
            self.setCurrentIndex(0)

    def addItems(self, texts: Iterable[str | None]) -> None:
        """Add entries without data."""
        for text in texts:
            self.addItem(text or "")

    def clear(self) -> None:
        """Remove all entries."""
        if self._entries is None:
            super().clear()
            return
        self._entries.clear()
        self.setCurrentIndex(-1)

    def itemText(self, index: int) -> str:
        """Return what an entry says; empty where there is none."""
        if self._entries is None:
            return super().itemText(index)
        return self._entries[index][0] if 0 <= index < len(self._entries) else ""

    def itemData(self, index: int, role: int = Qt.ItemDataRole.UserRole) -> Any:
        """Return what an entry stands for; None where there is none."""
        if self._entries is None or role != Qt.ItemDataRole.UserRole:
            return self._with_list().itemData(index, role)
        return self._entries[index][1] if 0 <= index < len(self._entries) else None

    def currentIndex(self) -> int:
        """Return the place of the chosen entry, or -1."""
        return super().currentIndex() if self._entries is None else self._current

    def currentText(self) -> str:
        """Return what the chosen entry says."""
        return self.itemText(self.currentIndex())

    def currentData(self, role: int = Qt.ItemDataRole.UserRole) -> Any:
        """Return what the chosen entry stands for."""
        return self.itemData(self.currentIndex(), role)

    def setCurrentIndex(self, index: int) -> None:
        """Choose the entry at a place; none with -1 or where there is none."""
        if self._entries is None:
            super().setCurrentIndex(index)
            return
        index = index if 0 <= index < len(self._entries) else -1
        if index == self._current:
            return
        self._current = index
        self.update()
        self.currentIndexChanged.emit(index)
        self.currentTextChanged.emit(self.currentText())

    def select_data(self, data: object) -> bool:
        """Select the entry with this data; returns False and changes nothing when there is none."""
        for position in range(self.count()):
            if self.itemData(position) == data:
                self.setCurrentIndex(position)
                return True
        return False

    # What needs Qt's list.

    def setItemText(self, index: int, text: str | None) -> None:
        """Change what an entry says."""
        self._with_list().setItemText(index, text)

    def setItemData(self, index: int, value: object, role: int = Qt.ItemDataRole.UserRole) -> None:
        """Change what an entry stands for or how it looks."""
        self._with_list().setItemData(index, value, role)

    def insertItem(self, index: int, text: str, data: object = None) -> None:
        """Add an entry at a place."""
        self._with_list().insertItem(index, text, data)

    def removeItem(self, index: int) -> None:
        """Remove an entry."""
        self._with_list().removeItem(index)

    def findText(self, text: str | None, *flags: Qt.MatchFlag) -> int:
        """Return the place of the entry that says this, or -1."""
        return int(self._with_list().findText(text, *flags))

    def findData(self, data: object, *role_and_flags: Any) -> int:
        """Return the place of the entry that stands for this, or -1."""
        return int(self._with_list().findData(data, *role_and_flags))

    def model(self) -> QAbstractItemModel:
        """Return Qt's entries."""
        entries: QAbstractItemModel = self._with_list().model()
        return entries

    def view(self) -> QAbstractItemView:
        """Return Qt's list."""
        shown: QAbstractItemView = self._with_list().view()
        return shown

    def changeEvent(self, event: QEvent | None) -> None:
        """Take on another look; Qt would make the list to give it that look, too."""
        if self._entries is None:
            super().changeEvent(event)
        else:
            QWidget.changeEvent(self, event)

    def showPopup(self) -> None:
        """Open the list."""
        self._with_list().showPopup()

    def enterEvent(self, event: QEnterEvent | None) -> None:
        """Make the list: the box will perhaps be clicked."""
        self._with_list().enterEvent(event)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Make the list: keys choose among its entries."""
        self._with_list().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Make the list, should a key come without the focus."""
        self._with_list().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Pass the wheel on to the scroll area unless the box has the focus."""
        if not is_passed_on(self, event):
            super().wheelEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the box with a long entry shortened by an ellipsis, where Qt would cut it."""
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        option.currentText = self.fontMetrics().elidedText(
            self.currentText(), self.cut, field.width() - _TEXT_MARGIN
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _with_list(self) -> Any:
        """Hand the entries to Qt, once; return the box as Qt's own class sees it."""
        if self._entries is not None:
            entries, self._entries = self._entries, None
            with QSignalBlocker(self):
                for text, data in entries:
                    super().addItem(text, data)
                super().setCurrentIndex(self._current)
            for change in _LOOKS:
                super().changeEvent(QEvent(change))
        return super()
