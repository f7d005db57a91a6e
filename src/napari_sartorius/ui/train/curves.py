"""Live curves of a training run: the figure that it selects by, and the loss."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sartorius.core.wording import capital
from napari_sartorius.training.curve_file import FIGURES, WORDS
from napari_sartorius.training.run_files import PLAN_FILE, SETTINGS_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtCore import QEvent

_HEIGHT = 116
_SCORE, _LOSS, _BEFORE = "#4caf6e", "#f0a830", "#8a9099"
_TITLE = "{} on what is kept apart"
_LEFT_AXIS = 34  # so that both plots line up

Row = dict[str, float]


def read_curve(path: Path) -> list[Row]:
    """Rows of a run's ``curve.csv``; none while there is no file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    except (OSError, ValueError):
        return []


def selecting_figure(folder: Path) -> str:
    """Column of the curve that says what is best in a run; the score where its folder is silent."""
    try:
        settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
        return FIGURES[settings["select_by"]]
    except (OSError, ValueError, KeyError, TypeError):
        return "score"


def best_row(rows: list[Row], figure: str = "score") -> Row | None:
    """The row with the highest figure, the first of equals; None before anything was measured."""
    measured = [row for row in rows if figure in row]
    return max(measured, key=lambda row: row[figure]) if measured else None


def score_before(folder: Path, rows: list[Row], figure: str = "score") -> float | None:
    """What the start of a run reached; None while that is not known.

    A start that lacks a kind of cell finds none of that kind at step 0, so what counts is what was
    measured of it before, where the run has done so.
    """
    try:
        plan = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
        if figure == "score" and plan["before"] is not None:
            return float(plan["before"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # of another kind of training
    return rows[0].get(figure) if rows and rows[0].get("step") == 0 else None


class Curves(QWidget):
    """Two plots below each other with the same steps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.score = _plot(_TITLE.format("Score"))
        self.loss = _plot("Training loss")
        self.loss.setXLink(self.score)
        self.score_line = self.score.plot(pen=pg.mkPen(_SCORE, width=2), **_dots(_SCORE))
        self.loss_line = self.loss.plot(pen=pg.mkPen(_LOSS, width=2), **_dots(_LOSS))
        self.before = pg.InfiniteLine(angle=0, pen=pg.mkPen(_BEFORE, width=1, style=_dashed()))
        self.before.hide()
        self.score.addItem(self.before, ignoreBounds=True)
        self.best = pg.ScatterPlotItem(symbol="star", size=15, brush=_SCORE, pen="w")
        self.score.addItem(self.best)
        self.best_text = pg.TextItem(anchor=(0.5, 1.25))
        self.score.addItem(self.best_text, ignoreBounds=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.score)
        layout.addWidget(self.loss)
        self._recolour()

    def show_rows(
        self, rows: list[Row], steps: int, figure: str = "score", before: float | None = None
    ) -> None:
        """Draw these rows of a run that will have so many steps and selects by `figure`.

        `before` is what its start reached; what is no better is not marked as the best.
        """
        title = _TITLE.format(capital(WORDS[figure]))
        if self.score.property("title") != title:
            self.score.setProperty("title", title)
            self._recolour()
        scores = [(row["step"], row[figure]) for row in rows if figure in row]
        losses = [
            (row["step"], sum(v for k, v in row.items() if k.startswith("loss_")))
            for row in rows
            if any(k.startswith("loss_") for k in row)
        ]
        self.score_line.setData([x for x, _ in scores], [y for _, y in scores])
        self.loss.setVisible(bool(losses))  # empty axes would show figures of nothing
        self.loss_line.setData([x for x, _ in losses], [y for _, y in losses])
        self.before.setVisible(before is not None)
        if before is not None:
            self.before.setValue(before)
        best = best_row(rows, figure)
        if best is not None and before is not None and best[figure] <= before:
            best = None
        self.best.setData([best["step"]] if best else [], [best[figure]] if best else [])
        self.best_text.setVisible(best is not None)
        if best is not None:
            self.best_text.setText(f"{best[figure]:.3f}")
            # The figure stays inside the plot at both ends.
            share = best["step"] / max(steps, 1)
            self.best_text.setAnchor((min(max(share, 0.15), 0.85), 1.25))
            self.best_text.setPos(best["step"], best[figure])
        self.score.setXRange(0, max(steps, 1), padding=0.02)
        highest = max([before or 0.0, *(y for _, y in scores)])
        self.score.setYRange(0, max(0.1, 1.6 * highest), padding=0)
        self.loss.setYRange(0, max([0.1, *(1.1 * y for _, y in losses)]), padding=0)

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow napari's theme."""
        super().changeEvent(event)
        if event is not None and event.type() in {
            event.Type.PaletteChange,
            event.Type.StyleChange,
            event.Type.ParentChange,
        }:
            self._recolour()

    def _recolour(self) -> None:
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text.red(), text.green(), text.blue(), 70)
        for plot in (self.score, self.loss):
            plot.setBackground(None)
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(faint)
                axis.setTextPen(text)
            plot.setTitle(plot.property("title"), color=text, size="9pt")
        self.best_text.setColor(text)
        self.best.setPen(pg.mkPen(text))


def _plot(title: str) -> Any:
    plot = pg.PlotWidget()
    plot.setProperty("title", title)
    plot.setFixedHeight(_HEIGHT)
    plot.setMouseEnabled(x=False, y=False)
    plot.hideButtons()
    plot.setMenuEnabled(False)
    for side in ("left", "bottom"):
        plot.getAxis(side).setStyle(maxTickLevel=0)
    plot.getAxis("left").setWidth(_LEFT_AXIS)
    plot.getAxis("bottom").setHeight(18)
    plot.setStyleSheet("border: 0px;")
    # The wheel belongs to what the plot lies in.
    plot.wheelEvent = lambda event: event.ignore()
    return plot


def _dots(colour: str) -> dict[str, Any]:
    return {"symbol": "o", "symbolSize": 5, "symbolBrush": colour, "symbolPen": None}


def _dashed() -> Any:
    from qtpy.QtCore import Qt

    return Qt.PenStyle.DashLine
