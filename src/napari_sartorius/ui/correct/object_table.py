"""The table with its filter: which objects are shown in it, in which order, which are selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleRangeSlider

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.correct.table_filter import matching
from napari_sartorius.ui.correct.table_model import ObjectTableModel
from napari_sartorius.ui.correct.whole_rows import WholeRows
from napari_sartorius.ui.forms import button, quiet
from napari_sartorius.ui.single_shot import single_shot
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.tooltips import tooltip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray

_ROW_HEIGHT = 20
_FILTER_DELAY_MS = 200
_SLIDER_COLUMNS = ("score", "predicted_iou", "agreement", "area", "solidity", "major_axis")


class ObjectTable(QWidget):
    """One row per object of a layer."""

    selection_changed = Signal(list, int)
    """Labels of the selected rows, and the label that was added last or 0."""

    copy_asked = Signal()
    csv_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer: Labels | None = None
        self._selected: list[int] = []

        self.model = ObjectTableModel(self)
        self.view = QTableView()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter, for example: score < 0.5 and not reviewed")
        self.filter.setClearButtonEnabled(True)
        self.filter.setToolTip(tooltip("table_filter"))
        self.column = Choice()
        self.column.setToolTip(tooltip("table_slider"))
        self.range = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.range.setDecimals(2)
        self.count = quiet()
        self.copy_button = button("Copy", "link", "table_copy")
        self.csv_button = button("Save as CSV", "link", "table_csv")
        self._later = single_shot(self, _FILTER_DELAY_MS, self.refresh)
        self._build()
        self.filter.textChanged.connect(lambda _: self._later.start())
        self.column.currentIndexChanged.connect(self._on_column)
        self.range.valueChanged.connect(lambda _: self._later.start())
        self.copy_button.clicked.connect(self.copy_asked)
        self.csv_button.clicked.connect(self.csv_asked)
        self.view.selectionModel().selectionChanged.connect(self._on_selection)

    def _build(self) -> None:
        view = self.view
        view.setModel(self.model)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setSortingEnabled(True)
        view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        view.horizontalHeader().setSortIndicatorClearable(True)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        view.horizontalHeader().setDefaultSectionSize(58)
        view.horizontalHeader().setMinimumSectionSize(30)
        view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setTabKeyNavigation(False)
        room = WholeRows(view)
        room.setMinimumHeight(90)  # on low screens it shrinks to that before the tab scrolls
        room.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        sliders = QHBoxLayout()
        sliders.setSpacing(6)
        self.column.setMaximumWidth(96)
        sliders.addWidget(self.column)
        sliders.addWidget(self.range, 1)
        foot = QHBoxLayout()
        foot.setSpacing(2)
        foot.addWidget(self.count, 1)
        foot.addWidget(self.copy_button)
        foot.addWidget(self.csv_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.filter)
        layout.addLayout(sliders)
        layout.addWidget(room, 1)
        layout.addLayout(foot)

    @property
    def selected(self) -> list[int]:
        """Labels of the selected objects, whether their rows are shown or filtered away."""
        return list(self._selected)

    def set_layer(self, layer: Labels | None) -> None:
        """Show the objects of another layer."""
        self._layer = layer
        self._selected = []
        with QSignalBlocker(self.view.selectionModel()):
            self.model.set_layer(layer)
        self._fill_columns()
        self.refresh()
        self._fit_columns()

    def refresh(self) -> None:
        """Look at the layer's features and at the filter again; the selection stays."""
        self._later.stop()
        if self._layer is None:
            self.count.setText("")
            return
        features = self._layer.features
        set_role(self.count, "muted")
        try:
            kept = matching(features, self.filter.text()) & self._within_range()
        except UserError as error:
            set_role(self.count, "error")
            self.count.setText(str(error))
            return
        columns = self.model.column_names
        with QSignalBlocker(self.view.selectionModel()):
            self.model.refresh(None if kept.all() else kept)
        if self.model.column_names != columns:
            self._fit_columns()
        there = set(features["index"].tolist())
        self._selected = [label for label in self._selected if label in there]
        self._show_selection()
        self._show_count()

    def select(self, labels: Sequence[int], reveal: bool = True) -> None:
        """Select objects; tells nobody."""
        self._selected = list(labels)
        self._show_selection()
        self._show_count()
        if reveal and labels:
            found = np.flatnonzero(self.model.labels == labels[-1])
            if len(found):
                self.view.scrollTo(self.model.index(int(found[0]), 0))

    def next_unreviewed(self, after: int) -> int:
        """Return the next object in the order shown that is not accepted, 0 when all are."""
        labels = self.model.labels
        if self._layer is None or not len(labels):
            return 0
        table = self.model.shown_table()
        waiting = ~table["reviewed"].astype(bool)
        place = np.flatnonzero(labels == after)
        start = int(place[0]) if len(place) else -1
        order = np.r_[np.arange(start + 1, len(labels)), np.arange(0, start + 1)].astype(int)
        left = order[waiting[order]]
        left = left[labels[left] != after]
        return int(labels[left[0]]) if len(left) else 0

    def _within_range(self) -> NDArray[np.bool_]:
        assert self._layer is not None
        features = self._layer.features
        name = self.column.currentData()
        if not name or name not in features:
            return np.ones(len(features), np.bool_)
        values = features[name].to_numpy(dtype=float, na_value=np.nan)
        low, high = self.range.value()
        if (low, high) == (self.range.minimum(), self.range.maximum()):
            return np.ones(len(values), np.bool_)
        step = 10.0 ** -self.range.decimals() / 2
        with np.errstate(invalid="ignore"):
            return (values >= low - step) & (values <= high + step)

    def _fill_columns(self) -> None:
        with QSignalBlocker(self.column):
            self.column.clear()
            if self._layer is not None:
                for name in _SLIDER_COLUMNS:
                    if name in self._layer.features:
                        self.column.addItem(name.replace("_", " "), name)
        self._on_column()

    def _on_column(self, position: int = 0) -> None:
        name = self.column.currentData()
        with QSignalBlocker(self.range):
            low, high = 0.0, 1.0
            whole = False
            if self._layer is not None and name and len(self._layer.features):
                values = self._layer.features[name].to_numpy(dtype=float, na_value=np.nan)
                values = values[np.isfinite(values)]
                if len(values) and name not in ("score", "predicted_iou", "agreement"):
                    low, high = float(values.min()), float(values.max())
                    whole = high > 10
            self.range.setDecimals(0 if whole else 2)
            if whole:
                low, high = np.floor(low), np.ceil(high)
            self.range.setRange(low, max(high, low + 0.01))
            self.range.setValue((self.range.minimum(), self.range.maximum()))
        self._later.start()

    def _fit_columns(self) -> None:
        header = self.view.horizontalHeader()
        widths = {"category": 66, "source": 52, "reviewed": 26, "index": 40, "area": 56}
        for position, name in enumerate(self.model.column_names):
            header.resizeSection(position, widths.get(name, 46))

    def _show_count(self) -> None:
        if self._layer is None:
            return
        shown, total = self.model.rowCount(), len(self._layer.features)
        text = plural(total, "cell")
        text = text if shown == total else f"{shown:,} of {text}"
        done = int(self._layer.features.get("reviewed", np.zeros(0)).sum())
        if done:
            text += f" · {done:,} ok"
        if self._selected:
            text += f" · {len(self._selected):,} selected"
        self.count.setText(text)

    def _show_selection(self) -> None:
        """Select the rows of the selected objects, run by run."""
        selection = QItemSelection()
        rows = np.flatnonzero(np.isin(self.model.labels, self._selected))
        if len(rows):
            last = self.model.columnCount() - 1
            for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
                selection.select(
                    self.model.index(int(run[0]), 0), self.model.index(int(run[-1]), last)
                )
        chosen = self.view.selectionModel()
        with QSignalBlocker(chosen):
            chosen.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            if len(rows):
                newest = np.flatnonzero(self.model.labels == self._selected[-1])
                place = int(newest[0]) if len(newest) else int(rows[-1])
                chosen.setCurrentIndex(
                    self.model.index(place, 0), QItemSelectionModel.SelectionFlag.NoUpdate
                )
        self.view.viewport().update()

    def _on_selection(self, selected: Any, deselected: Any) -> None:
        labels = self.model.labels
        rows = np.zeros(len(labels), np.bool_)
        for one in self.view.selectionModel().selection():
            rows[one.top() : one.bottom() + 1] = True
        now = labels[rows].tolist()
        current = self.view.selectionModel().currentIndex().row()
        newest = int(labels[current]) if 0 <= current < len(labels) and rows[current] else 0
        if newest in now:
            now.remove(newest)
            now.append(newest)
        self._selected = now
        self._show_count()
        self.selection_changed.emit(now, newest)
