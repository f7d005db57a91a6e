"""The rows of the list of errors, looked up when a cell of the table is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from napari_sartorius.evaluation.outcome_colours import OUTCOMES
from napari_sartorius.evaluation.outcomes import Outcome
from napari_sartorius.ui.evaluate.swatch import swatch
from napari_sartorius.ui.evaluate.wording import NAMES

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_sartorius.ui.evaluate.compared import Compared, Rows

_TITLES = ("outcome", "cell", "IoU", "with", "area", "slice")
_HINTS = (
    "What became of the cell.",
    "The true or the found cell that this row is about, by its label.",
    "Overlap with the cell of the other side that fits best, 0 to 1.",
    "The cell of the other side that fits best, by its label.",
    "Pixels.",
    "Where in the stack.",
)
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class ErrorModel(QAbstractTableModel):
    """Shows the rows with some outcomes, sorted; holds their order and nothing else."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._compared: Compared | None = None
        self._rows: Rows | None = None
        self._shown: set[Outcome] = set()
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)
        self._sorted_by: tuple[int, bool] | None = None

    def show_rows(
        self, compared: Compared | None, rows: Rows | None, shown: Collection[Outcome]
    ) -> None:
        """Show other rows."""
        self.beginResetModel()
        self._compared, self._rows, self._shown = compared, rows, set(shown)
        self._order = self._look()
        self.endResetModel()

    @property
    def order(self) -> NDArray[np.int64]:
        """Row of `Rows` in each line, in the order shown."""
        return self._order

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of lines."""
        return 0 if parent is not None and parent.isValid() else len(self._order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns; the last one is for stacks."""
        if parent is not None and parent.isValid():
            return 0
        several = self._compared is not None and len(self._compared.planes) > 1
        return len(_TITLES) if several else len(_TITLES) - 1

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what to draw in a cell of the table."""
        rows, compared = self._rows, self._compared
        if rows is None or compared is None or not index.isValid():
            return None
        if index.row() >= len(self._order):
            return None
        row, column = int(self._order[index.row()]), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(compared, rows, row, column)
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            return swatch(OUTCOMES[Outcome(rows.outcome[row])])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if column in (2, 4) else _LEFT
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column, or its hint."""
        if orientation != Qt.Orientation.Horizontal or section >= len(_TITLES):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if section in (2, 4) else _LEFT
        return _HINTS[section] if role == Qt.ItemDataRole.ToolTipRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; a column number below 0 gives the order by outcome."""
        descending = order == Qt.SortOrder.DescendingOrder
        self._sorted_by = (column, descending) if 0 <= column < len(_TITLES) else None
        self.beginResetModel()
        self._order = self._look()
        self.endResetModel()

    def _text(self, compared: Compared, rows: Rows, row: int, column: int) -> str:
        own, other = ("truth", "found") if rows.of_truth[row] else ("found", "truth")
        if column == 0:
            return NAMES[Outcome(rows.outcome[row])]
        if column == 1:
            return f"{own} {rows.label[row]}"
        if column == 2:
            return f"{rows.iou[row]:.2f}" if rows.iou[row] > 0 else "-"
        if column == 3:
            return f"{other} {rows.partner[row]}" if rows.iou[row] > 0 else "-"
        if column == 4:
            return f"{rows.area[row]:,}"
        return ", ".join(str(at) for at in compared.planes[rows.plane[row]].place)

    def _look(self) -> NDArray[np.int64]:
        rows = self._rows
        if rows is None:
            return np.zeros(0, np.int64)
        chosen = np.flatnonzero(np.isin(rows.outcome, [int(one) for one in self._shown]))
        if self._sorted_by is None:
            return chosen
        column, descending = self._sorted_by
        rank = np.arange(len(rows))  # rows come ordered by outcome
        keys = (
            rank,
            2 * rows.label + rows.of_truth,
            rows.iou,
            rows.partner,
            rows.area,
            rows.plane,
        )[column][chosen]
        order = np.argsort(keys, kind="stable")
        return chosen[order[::-1] if descending else order]
