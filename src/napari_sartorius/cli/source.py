"""Annotated images as the verbs on data take them: what is missing is told, nothing overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco import CocoDataset

SHOWN = 5
"""Most files that are named when something was written."""


def read_source(
    source: Path, images: Path | None, monitor: Monitor, split: str | None = None
) -> CocoDataset:
    """Annotated images, those of a split where one is asked for.

    Raises
    ------
    UserError
        When they cannot be read, or none is of that split.
    """
    from napari_sartorius.io.left_out import told_left_out
    from napari_sartorius.io.sources import read_dataset

    dataset = read_dataset(source, images)
    if split is not None:
        known = sorted({str(one.extra["split"]) for one in dataset.images if "split" in one.extra})
        if split not in known:
            there = f"there are {', '.join(known)}" if known else "no image is of any"
            raise UserError(
                f"{source} has no image of the split {split!r} ({there}): name another, or make "
                "one with `data split`."
            )
        dataset = dataset.split(split)
    if (told := told_left_out(dataset)) is not None:
        monitor.notice(told)
    return dataset


def told_counts(dataset: CocoDataset) -> str:
    """Return how much a dataset holds, such as ``12 objects of 1 image``."""
    return f"{plural(dataset.object_count, 'object')} of {plural(len(dataset), 'image')}"


def refuse_own_source(source: Path, targets: Iterable[Path]) -> None:
    """Refuse to write where the annotations are read from: what is left out would be lost.

    Raises
    ------
    UserError
        Naming the file.
    """
    from napari_sartorius.io.sources import annotations_file

    file = annotations_file(source)
    for target in targets:
        if file is not None and target.resolve() == file.resolve():
            raise UserError(
                f"{target} is what is read, and writing there would replace it: name another place."
            )
