"""The table of objects as CSV, for spreadsheets, R and pandas."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.io.csv_rows import new_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances


def write_table(path: str | Path, table: Mapping[str, NDArray[Any]]) -> None:
    """Write columns of equal length as comma-separated UTF-8 with a header line.

    Parameters
    ----------
    path
        File to make or replace, atomically.
    table
        Columns by name. Numbers are written with the digits their type has, not-a-number as an
        empty cell.

    Raises
    ------
    UserError
        When columns differ in length, or the file cannot be written.
    """
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"{path}: columns of the table differ in length ({lengths}).")
    columns = [_cells(np.asarray(column)) for column in table.values()]
    with atomic_write(path) as temporary, new_table(temporary) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*columns, strict=True))


def write_instances_csv(
    path: str | Path,
    instances: Instances,
    *,
    pixel_size: float | tuple[float, float] | None = None,
    category_names: Sequence[str] | None = None,
) -> None:
    """Write one row per object: label, score, category, position, size and shape.

    Parameters
    ----------
    path
        File to make or replace, atomically.
    instances
        Objects of one image; row i has label i + 1, as in `Instances.to_labels`.
    pixel_size
        In micrometres, one number or (y, x); adds columns in micrometres.
    category_names
        Written in place of category numbers.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    write_table(path, instances.table(pixel_size, category_names))


def read_table(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read a table back as columns of equal length.

    Returns
    -------
    dict of str to (N,) array
        int64 where all cells are whole numbers, float64 where all are numbers or empty, else str.

    Raises
    ------
    UserError
        When the file cannot be read as a table.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV table ({error}).") from error
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise UserError(f"{path} is not a CSV table, its lines differ in length: write it again.")
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(rows[0])
    return {name: _typed(cells) for name, cells in zip(rows[0], columns, strict=True)}


def _typed(cells: Sequence[str]) -> NDArray[Any]:
    for convert, dtype in ((int, np.int64), (_float_or_nan, np.float64)):
        try:
            return np.array([convert(cell) for cell in cells], dtype)
        except (ValueError, OverflowError):
            continue
    return np.array(cells, np.str_)


def _float_or_nan(cell: str) -> float:
    return float(cell) if cell else math.nan


def _cells(column: NDArray[Any]) -> list[Any]:
    if column.dtype.kind == "f":
        # str of a numpy scalar has the fewest digits that tell it apart in its own precision.
        return ["" if math.isnan(value) else str(value) for value in column]
    return list(column.tolist())
