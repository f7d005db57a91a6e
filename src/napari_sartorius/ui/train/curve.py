"""A live curve of a training run, drawn without another library."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtGui import QPaintEvent

_MARGIN_LEFT, _MARGIN_BOTTOM, _MARGIN = 34, 18, 8
_SCORE, _LOSS, _BEFORE = QColor("#4caf6e"), QColor("#f0a830"), QColor("#8a9099")


def read_curve(path: Path) -> list[dict[str, float]]:
    """Rows of a run's ``curve.csv``; none while there is no file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    except (OSError, ValueError):
        return []


class CurvePlot(QWidget):
    """Validation score (0 to 1) and training loss (to its own scale) over the steps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[dict[str, float]] = []
        self._steps = 1.0
        self.setMinimumHeight(130)

    def sizeHint(self) -> QSize:
        """Return a size that shows a curve."""
        return QSize(300, 150)

    def show_rows(self, rows: list[dict[str, float]], steps: int) -> None:
        """Draw these rows of a run that will have so many steps."""
        self._rows = rows
        self._steps = float(max(steps, 1))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw axes and curves."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.foregroundRole())
        area = QRectF(self.rect()).adjusted(_MARGIN_LEFT, _MARGIN + 12, -_MARGIN, -_MARGIN_BOTTOM)
        scores = [row["score"] for row in self._rows if "score" in row]
        top = max(0.1, *(1.15 * s for s in scores)) if scores else 1.0
        painter.setPen(QPen(QColor(text.red(), text.green(), text.blue(), 60)))
        painter.drawRect(area)
        painter.setPen(text)
        font = painter.font()
        font.setPointSizeF(max(font.pointSizeF() - 2, 6))
        painter.setFont(font)
        left = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, area.top() - 7, _MARGIN_LEFT - 4, 14), left, f"{top:.2f}")
        painter.drawText(QRectF(0, area.bottom() - 7, _MARGIN_LEFT - 4, 14), left, "0")
        below = QRectF(area.left(), area.bottom() + 2, area.width(), 14)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"step {self._steps:.0f}")
        self._legend(painter, area)
        if scores and "score" in self._rows[0] and self._rows[0]["step"] == 0:
            y = area.bottom() - area.height() * min(scores[0] / top, 1)
            painter.setPen(QPen(_BEFORE, 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        losses = [
            {"step": row["step"], "loss": sum(v for k, v in row.items() if k.startswith("loss_"))}
            for row in self._rows
            if any(k.startswith("loss_") for k in row)
        ]
        highest = max((row["loss"] for row in losses), default=1.0) or 1.0
        self._line(painter, area, losses, "loss", highest, _LOSS)
        self._line(painter, area, self._rows, "score", top, _SCORE)
        painter.end()

    def _legend(self, painter: QPainter, area: QRectF) -> None:
        x = area.left()
        for name, colour in (("score", _SCORE), ("loss", _LOSS), ("before", _BEFORE)):
            painter.setPen(QPen(colour, 2))
            painter.drawLine(QPointF(x, 8), QPointF(x + 14, 8))
            painter.setPen(self.palette().color(self.foregroundRole()))
            painter.drawText(QPointF(x + 18, 12), name)
            x += 70

    def _line(
        self,
        painter: QPainter,
        area: QRectF,
        rows: list[dict[str, float]],
        key: str,
        top: float,
        colour: QColor,
    ) -> None:
        points = [
            QPointF(
                area.left() + area.width() * min(row["step"] / self._steps, 1),
                area.bottom() - area.height() * min(row[key] / top, 1),
            )
            for row in rows
            if key in row
        ]
        painter.setPen(QPen(colour, 2))
        painter.drawPolyline(QPolygonF(points))
        painter.setBrush(colour)
        for point in points:
            painter.drawEllipse(point, 2.5, 2.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)
