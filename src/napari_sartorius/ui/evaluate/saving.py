"""The list of errors as a file for spreadsheets and R."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFileDialog

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.evaluation.outcomes import Outcome
from napari_sartorius.ui.evaluate.wording import NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtWidgets import QWidget

    from napari_sartorius.ui.evaluate.compared import Compared, Rows


def save(
    compared: Compared, rows: Rows, order: NDArray[np.int64], path: str, parent: QWidget
) -> tuple[str, str]:
    """Save rows in an order, and return a sentence with its role; asks for a file without path."""
    from napari_sartorius.io.table_csv import write_table

    if not path:
        path, _ = QFileDialog.getSaveFileName(parent, "Save the list", "errors.csv", "CSV (*.csv)")
    if not path:
        return "", "body"
    try:
        write_table(path, table(compared, rows, order))
    except UserError as error:
        return str(error), "error"
    return f"Saved {plural(len(order), 'row')} to {path}.", "body"


def table(compared: Compared, rows: Rows, order: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the columns of a file, in an order of rows; 0 stands for no cell."""
    names = np.array([NAMES.get(one, "") for one in Outcome])
    of_truth = rows.of_truth[order]
    own, other = rows.label[order], rows.partner[order]
    columns: dict[str, NDArray[Any]] = {
        "outcome": names[rows.outcome[order]],
        "truth": np.where(of_truth, own, other),
        "found": np.where(of_truth, other, own),
        "iou": rows.iou[order],
        "area": rows.area[order],
    }
    places = np.array([plane.place for plane in compared.planes], np.int64)
    if len(compared.planes) > 1:
        for axis in range(places.shape[1]):
            columns[f"axis-{axis}"] = places[rows.plane[order], axis]
    return columns
