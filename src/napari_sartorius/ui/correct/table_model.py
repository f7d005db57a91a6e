"""The rows that the table shows: the layer's own features, looked up when a cell is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

_TITLES = {
    "index": "id",
    "category": "category",
    "score": "score",
    "predicted_iou": "IoU",
    "agreement": "agree",
    "area": "area",
    "solidity": "shape",
    "source": "source",
    "reviewed": "ok",
    "major_axis": "length",
    "minor_axis": "width",
}
"""Columns that are shown, when the layer has them, in this order; then any other."""

_HINTS = {
    "index": "The label of the cell in the image.",
    "score": "How sure the model was, 0 to 1.",
    "predicted_iou": "How well the model expects its outline to fit, 0 to 1.",
    "agreement": "How far several models or views agree on the cell, 0 to 1.",
    "area": "Pixels.",
    "major_axis": "Length in pixels of the ellipse with the same spread.",
    "minor_axis": "Width in pixels of the ellipse with the same spread.",
    "solidity": "Area over the area of the convex hull: 1 is round, less is branched or bent.",
    "source": "As the model found it, edited, or drawn by hand.",
    "reviewed": "Accepted by you.",
}
_UNSEEN = ("centroid", "bbox", "axis-")
_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_ALIGN_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ALIGN_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class ObjectTableModel(QAbstractTableModel):
    """Shows a part of a layer's features, sorted; holds the order of rows and nothing else."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._layer: Labels | None = None
        self._names: list[str] = []
        self._columns: list[Any] = []
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self._kept: NDArray[np.bool_] | None = None
        self._sorted_by: tuple[str, bool] | None = None

    def set_layer(self, layer: Labels | None) -> None:
        """Show another layer's features."""
        self.beginResetModel()
        self._layer = layer
        self._kept = None
        self._names = self._look()
        self._rows = self._order()
        self.endResetModel()

    def refresh(self, kept: NDArray[np.bool_] | None = None) -> None:
        """Look at the features again, of which the `kept` rows (N,) bool are to be shown."""
        self._kept = kept
        names, rows = self._look(), self._order()
        if names == self._names and len(rows) == len(self._rows):
            self._rows = rows
            if len(rows):
                self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(names) - 1))
            return
        self.beginResetModel()
        self._names, self._rows = names, rows
        self.endResetModel()

    @property
    def labels(self) -> NDArray[np.int64]:
        """Label of each row, in the order shown."""
        if self._layer is None:
            return np.zeros(0, np.int64)
        return self._layer.features["index"].to_numpy(dtype=np.int64)[self._rows]

    @property
    def column_names(self) -> list[str]:
        """Names of the features shown."""
        return self._names

    def shown_table(self) -> dict[str, NDArray[Any]]:
        """Return the rows shown, in their order, with all columns of the layer."""
        if self._layer is None:
            return {}
        features = self._layer.features
        return {str(name): features[name].to_numpy()[self._rows] for name in features}

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of rows."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self._names)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what to draw in a cell of the table."""
        # Qt asks for a dozen roles of each cell whenever the table is drawn
        if role not in (_DISPLAY, _ALIGNMENT) or self._layer is None or not index.isValid():
            return None
        column = self._columns[index.column()]
        if role == _ALIGNMENT:
            return _ALIGN_RIGHT if column.dtype.kind in "iuf" else _ALIGN_LEFT
        if index.row() >= len(self._rows):
            return None
        row = int(self._rows[index.row()])
        return shown_value(column[row]) if row < len(column) else None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column, or its hint."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self._names):
            return None
        name = self._names[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return _TITLES.get(name, name)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _HINTS.get(name, name)
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; a column number below 0 gives the layer's own order."""
        if 0 <= column < len(self._names):
            self._sorted_by = (self._names[column], order == Qt.SortOrder.DescendingOrder)
        else:
            self._sorted_by = None
        self.beginResetModel()
        self._rows = self._order()
        self.endResetModel()

    def _look(self) -> list[str]:
        """Take hold of the layer's columns as they are, and return their names."""
        if self._layer is None:
            self._columns = []
            return []
        there = [str(name) for name in self._layer.features]
        first = [name for name in _TITLES if name in there]
        names = first + [n for n in there if n not in first and not n.startswith(_UNSEEN)]
        self._columns = [self._layer.features[name].to_numpy() for name in names]
        return names

    def _order(self) -> NDArray[np.int64]:
        if self._layer is None:
            return np.zeros(0, np.int64)
        features = self._layer.features
        rows = np.arange(len(features))
        if self._kept is not None and len(self._kept) == len(rows):
            rows = np.flatnonzero(self._kept)
        if self._sorted_by is not None and self._sorted_by[0] in features:
            name, descending = self._sorted_by
            keys = features[name].to_numpy()[rows]
            if keys.dtype.kind not in "iufb":
                keys = np.unique(keys.astype(str), return_inverse=True)[1]
            order = np.argsort(keys, kind="stable")
            rows = rows[order[::-1] if descending else order]
        return rows


def shown_value(value: Any) -> str:
    """Return a value of the table as text: two digits, thousands, a tick for yes."""
    if isinstance(value, bool | np.bool_):
        return "✓" if value else ""
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        if value != value:
            return "-"
        return f"{value:.2f}" if abs(value) < 10 else f"{value:,.1f}"
    return "" if value is None else str(value)
