"""Precision over the IoU that a match needs, drawn without another library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtGui import QMouseEvent, QPaintEvent

IOUS: NDArray[np.float64] = np.arange(100) / 100
"""Thresholds at which the curve is drawn."""

_MARGIN_LEFT, _MARGIN_BOTTOM, _MARGIN_TOP, _MARGIN_RIGHT = 30, 18, 20, 10
_LINE, _MARK = QColor("#4caf6e"), QColor("#f0a830")


class PrecisionPlot(QWidget):
    """The curve, with a line at the threshold that is looked at."""

    iou_asked = Signal(float)
    """The user clicked or drew at this threshold."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: NDArray[np.float64] = np.zeros(0)
        self._iou = 0.5
        self.setMinimumHeight(110)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        """Return a size that shows a curve."""
        return QSize(300, 120)

    def show_curve(self, values: NDArray[np.float64]) -> None:
        """Draw the precision at each of `IOUS`, 0 to 1."""
        self._values = values
        self.update()

    def show_iou(self, iou: float) -> None:
        """Draw the line at another threshold."""
        self._iou = iou
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Ask for the threshold under the pointer."""
        if event is not None:
            area = self._area()
            self.iou_asked.emit((event.position().x() - area.left()) / max(area.width(), 1.0))

    mouseMoveEvent = mousePressEvent

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(
            _MARGIN_LEFT, _MARGIN_TOP, -_MARGIN_RIGHT, -_MARGIN_BOTTOM
        )

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw axes, curve and line."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text.red(), text.green(), text.blue(), 60)
        area = self._area()
        font = painter.font()
        font.setPointSizeF(max(font.pointSizeF() - 2, 6))
        painter.setFont(font)
        self._axes(painter, area, text, faint)
        x = area.left() + area.width() * self._iou
        painter.setPen(QPen(_MARK, 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        if len(self._values):
            points = [
                QPointF(area.left() + area.width() * at, area.bottom() - area.height() * value)
                for at, value in zip(IOUS.tolist(), self._values.tolist(), strict=True)
            ]
            painter.setPen(QPen(_LINE, 2))
            painter.drawPolyline(QPolygonF(points))
            value = float(np.interp(self._iou, IOUS, self._values))
            painter.setBrush(_LINE)
            painter.drawEllipse(QPointF(x, area.bottom() - area.height() * value), 3.0, 3.0)
            painter.setPen(text)
            right = QRectF(area.left(), 0, area.width(), _MARGIN_TOP - 4)
            said = f"{value:.2f} at IoU {self._iou:.2f}"
            painter.drawText(
                right, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, said
            )
        painter.end()

    def _axes(self, painter: QPainter, area: QRectF, text: QColor, faint: QColor) -> None:
        painter.setPen(QPen(faint))
        painter.drawRect(area)
        middle = area.center()
        painter.drawLine(QPointF(area.left(), middle.y()), QPointF(area.right(), middle.y()))
        painter.setPen(text)
        beside = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for share in (0.0, 0.5, 1.0):
            y = area.bottom() - area.height() * share
            painter.drawText(QRectF(0, y - 7, _MARGIN_LEFT - 4, 14), beside, f"{share:g}")
            x = area.left() + area.width() * share
            below = QRectF(x - 20, area.bottom() + 2, 40, 14)
            painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, f"{share:g}")
        title = QRectF(area.left(), 0, area.width(), _MARGIN_TOP - 4)
        painter.drawText(
            title, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, "Precision over IoU"
        )
