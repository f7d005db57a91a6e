"""The list of models: two lines each, in sections, with a field to search them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QFont, QFontMetrics, QPalette
from qtpy.QtWidgets import (
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.tooltips import tooltip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QModelIndex
    from qtpy.QtGui import QPainter

    from napari_sartorius.ui.model_rows import ModelRow

_ROW = Qt.ItemDataRole.UserRole
_MARGIN = 6
_GAP = 3
_FAINT = 0.6


class ModelList(QWidget):
    """Rows under the titles of their sections; one can be chosen."""

    chosen = Signal(object)
    """Emitted with the chosen `ModelRow`, or None."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ModelRow] = []
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search, for example: shsy5y")
        self.search.setClearButtonEnabled(True)
        self.search.setToolTip(tooltip("model_search"))
        self.view = QListWidget()
        set_role(self.view, "models")
        self.view.setItemDelegate(_TwoLines(self.view))
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.view.setUniformItemSizes(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.search)
        layout.addWidget(self.view, 1)
        self.search.textChanged.connect(lambda _: self._fill(self._name()))
        self.view.currentItemChanged.connect(lambda *_: self.chosen.emit(self.row))

    @property
    def row(self) -> ModelRow | None:
        """The chosen row."""
        item = self.view.currentItem()
        row: ModelRow | None = item.data(_ROW) if item is not None else None
        return row

    @property
    def shown(self) -> list[ModelRow]:
        """The rows that match the search, in order."""
        return [row for row in self._rows if row.matches(self.search.text())]

    def set_rows(self, rows: Sequence[ModelRow], choose: str | None = None) -> None:
        """Show these rows and choose the one of this name, else the one that was chosen."""
        self._rows = list(rows)
        self._fill(choose or self._name())

    def _name(self) -> str | None:
        return self.row.name if self.row is not None else None

    def _fill(self, choose: str | None) -> None:
        self.view.blockSignals(True)
        self.view.clear()
        section, current = "", None
        for row in self.shown:
            if row.section != section:
                section = row.section
                title = QListWidgetItem(section)
                title.setFlags(Qt.ItemFlag.NoItemFlags)
                self.view.addItem(title)
            item = QListWidgetItem(row.title)
            item.setData(_ROW, row)
            item.setToolTip(row.why_not or row.title)
            self.view.addItem(item)
            if current is None or row.name == choose:
                current = item
        if current is not None:
            self.view.setCurrentItem(current)
            self.view.scrollToItem(current)
        self.view.blockSignals(False)
        self.chosen.emit(self.row)


class _TwoLines(QStyledItemDelegate):
    """Draws a title and a smaller line of facts; sections get a line of their own."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Height of one line or two; the width follows the list."""
        metrics = QFontMetrics(option.font)
        if index.data(_ROW) is None:
            return QSize(0, metrics.height() + 2 * _MARGIN)
        small = QFontMetrics(_small(option.font))
        return QSize(0, metrics.height() + small.height() + _GAP + 2 * _MARGIN)

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw with the colours of the list, so that both themes fit."""
        if painter is None:
            return
        row: ModelRow | None = index.data(_ROW)
        painter.save()
        area = option.rect.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        if row is None:
            painter.setFont(_bold(option.font))
            self._write(painter, area, option, str(index.data()))
            painter.restore()
            return
        style = option.widget.style()
        self.initStyleOption(option, index)
        option.text = ""
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        if row.why_not:
            painter.setOpacity(_FAINT)
        painter.setFont(option.font)
        height = QFontMetrics(option.font).height()
        self._write(painter, QRect(area.x(), area.y(), area.width(), height), option, row.title)
        painter.setOpacity(_FAINT)
        painter.setFont(_small(option.font))
        below = area.y() + height + _GAP
        rest = QRect(area.x(), below, area.width(), area.bottom() - below + 1)
        self._write(painter, rest, option, row.line)
        painter.restore()

    @staticmethod
    def _write(painter: QPainter, area: QRect, option: QStyleOptionViewItem, text: str) -> None:
        colours = QPalette.ColorGroup.Normal  # titles of sections cannot be chosen, but read
        painter.setPen(option.palette.color(colours, QPalette.ColorRole.Text))
        short = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(area, int(flags), short)


def _small(font: QFont) -> QFont:
    small = QFont(font)
    if font.pixelSize() > 0:
        small.setPixelSize(max(font.pixelSize() - 1, 8))
    else:
        small.setPointSizeF(max(font.pointSizeF() * 0.9, 6.0))
    return small


def _bold(font: QFont) -> QFont:
    bold = QFont(font)
    bold.setBold(True)
    return bold
