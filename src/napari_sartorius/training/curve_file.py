"""``curve.csv`` of a run: one row per validation, and what a person hears of it."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from napari_sartorius.io.atomic import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

FIGURES = {"competition": "score", "ap50": "ap50", "ap": "ap"}
"""`TrainConfig.select_by` -> the column that says what is best."""

WORDS = {"score": "score", "ap50": "AP50", "ap": "AP"}
"""What people call the columns."""

_LOSS = "loss_"


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


def in_words(row: dict[str, float], figure: str, best: dict[str, float]) -> str:
    """A row in one line: time, losses, figures, and where the best so far is.

    Parameters
    ----------
    row
        Of the curve.
    figure
        Column that says what is best.
    best
        Row of the best validation so far, this one included.
    """
    parts = []
    if row.get("seconds_per_step"):
        parts.append(f"{row['seconds_per_step']:.3g} s per step")
    losses = {name.removeprefix(_LOSS): v for name, v in row.items() if name.startswith(_LOSS)}
    if losses:
        each = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in losses.items())
        parts.append(f"loss {sum(losses.values()):.3g} ({each})")
    parts += [f"{word} {row[name]:.3f}" for name, word in WORDS.items() if name in row]
    if figure in row and best.get("step") == row["step"]:
        parts.append("the best so far")
    elif figure in best:
        parts.append(f"best {WORDS[figure]} so far {best[figure]:.3f} at step {best['step']:.0f}")
    return f"step {row['step']:.0f}: {', '.join(parts)}"
