"""A fixed endless sequence of edits, so that a killed process can be checked from outside."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.io.project import LabelEdit, Project, open_project

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPE = (40, 60)


def edits(seed: int) -> Iterator[LabelEdit]:
    """Squares of changing labels on three images, some of them erased again."""
    random = np.random.default_rng(seed)
    while True:
        top, left = (int(random.integers(0, side - 12)) for side in SHAPE)
        side, label = int(random.integers(1, 12)), int(random.integers(0, 30))
        values = np.full((side, side), label, np.uint32)
        row = {"category": f"kind {label % 3}", "score": 0.5, "reviewed": bool(label % 2)}
        yield LabelEdit(
            int(random.integers(1, 4)),
            (top, left, top + side, left + side),
            values,
            {label: row} if label else {},
        )


def work(project: Project, seed: int) -> None:
    """Edit and save for ever; says after each edit that it was promised to be safe."""
    for n, edit in enumerate(edits(seed), start=1):
        project.record(edit)
        sys.stdout.write(f"{n}\n")
        sys.stdout.flush()
        if n % 7 == 0:
            project.save()


if __name__ == "__main__":
    work(open_project(sys.argv[1]), int(sys.argv[2]))
