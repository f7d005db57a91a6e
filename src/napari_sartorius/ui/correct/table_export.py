"""The rows that the table shows, on the clipboard or in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_sartorius.ui.correct.table_model import ObjectTableModel


def copy(model: ObjectTableModel) -> str:
    """Put the rows shown on the clipboard, for a spreadsheet, and say so."""
    import pandas as pd

    table = pd.DataFrame(model.shown_table())
    QApplication.clipboard().setText(table.to_csv(sep="\t", index=False))
    return f"Copied {plural(len(table), 'row')}."


def save(model: ObjectTableModel, path: str, parent: QWidget) -> str:
    """Save the rows shown as CSV and say so; asks for a file when `path` is empty.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    from napari_sartorius.io.table_csv import write_table

    if not path:
        path, _ = QFileDialog.getSaveFileName(parent, "Save the table", "cells.csv", "CSV (*.csv)")
    if not path:
        return ""
    write_table(path, {name: np.asarray(one) for name, one in model.shown_table().items()})
    return f"Saved {plural(model.rowCount(), 'row')} to {path}."
