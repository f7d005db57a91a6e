"""``curve.csv`` of a run: one row per validation."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

from napari_sartorius.io.atomic import atomic_write

if TYPE_CHECKING:
    from pathlib import Path


def write_curve(path: Path, rows: list[dict[str, float]]) -> None:
    """Write all rows, atomically; columns in the order in which they first occur.

    Raises
    ------
    UserError
        As `io.atomic.atomic_write`.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)


def in_words(row: dict[str, float]) -> str:
    """The row in one line, with four digits."""
    step = round(row["step"])
    return f"step {step}: " + json.dumps({k: float(f"{v:.4g}") for k, v in row.items()})
