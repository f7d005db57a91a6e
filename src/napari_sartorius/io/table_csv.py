"""The table of objects as CSV, for spreadsheets, R and pandas."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
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


def _cells(column: NDArray[Any]) -> list[Any]:
    if column.dtype.kind == "f":
        # str of a numpy scalar has the fewest digits that tell it apart in its own precision.
        return ["" if math.isnan(value) else str(value) for value in column]
    return list(column.tolist())
