"""Annotations from elsewhere into a project: as a person's work, beside what is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.progress import NoticeBook
from napari_sartorius.core.wording import plural
from napari_sartorius.io.importing import read_annotations
from napari_sartorius.io.project.model_run import edit_of_run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_sartorius.io.coco_dataset import CocoDataset
    from napari_sartorius.io.project.project import Project

IMPORTED = "imported"
"""What the column ``source`` says of imported objects; no model run replaces them."""


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Attributes
    ----------
    images
        Number of images that got objects.
    objects
        Number of objects that came.
    known
        Number of objects that were left out because they lie on cells that are there.
    cut
        Number of objects that lost pixels to others, because a pixel belongs to one cell only.
    notes
        What else must be known, such as images that the source calls otherwise.
    """

    images: int = 0
    objects: int = 0
    known: int = 0
    cut: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: Imported) -> Imported:
        return Imported(
            self.images + other.images,
            self.objects + other.objects,
            self.known + other.known,
            self.cut + other.cut,
            self.notes + other.notes,
        )

    def sentence(self) -> str:
        """Return it in words."""
        text = f"{plural(self.objects, 'cell')} in {plural(self.images, 'image')}."
        if self.known:
            text += f" Left out because they lie on cells that are there: {self.known:,}."
        if self.cut:
            text += f" Lost pixels to cells that they overlap: {self.cut:,}."
        return " ".join([text, *(f"{note}." for note in self.notes)])


def import_sources(project: Project, sources: Iterable[str | Path]) -> Imported:
    """Add what is in files of any form to images that the project has.

    Parameters
    ----------
    project
        Open, and not read-only.
    sources
        See `read_annotations`.

    Raises
    ------
    UserError
        When a source cannot be read or is about other images; those before it are in the project.
    """
    total = Imported()
    for source in sources:
        book = NoticeBook()
        found = read_annotations(source, project.images, project.folder, project.categories, book)
        came = import_objects(project, found)
        total = total + replace(came, notes=tuple(book.notices))
    return total


def import_objects(project: Project, dataset: CocoDataset) -> Imported:
    """Add the objects of a dataset to images of a project.

    Parameters
    ----------
    project
        Open for writing.
    dataset
        Its images have ids of the project's; see `read_annotations`.

    Raises
    ------
    UserError
        When the project is read-only or cannot be written; images before that one have theirs.
    """
    total = Imported()
    for image in dataset.images:
        record = project.image(image.id)
        found = dataset.instances[image.id]
        found = found[np.flatnonzero(found.masks.area() > 0)]
        # what another program says of objects is not ours to keep under names that mean something
        found.columns = {}
        plane = project.plane(image.id)
        first = project.next_label(record.file_name)
        edit = edit_of_run(plane, image.id, found, dataset.category_names, "all", first)
        came = {label: row for label, row in edit.rows.items() if row} if edit is not None else {}
        if edit is not None and came:
            rows = {label: row | {"source": IMPORTED} for label, row in came.items()}
            project.record(replace(edit, rows={**rows}))
            if project.status(record) == "new":
                project.set_status(image.id, "in review")
        shown = np.bincount(plane.values.reshape(-1), minlength=1)
        areas = sum(int(shown[label]) for label in came)
        lost = _cut(found.masks.area(), shown, list(came)) if areas else 0
        some = Imported(int(bool(came)), len(came), len(found) - len(came), lost)
        total = total + some
    return total


def _cut(areas: np.ndarray, shown: np.ndarray, labels: list[int]) -> int:
    """How many of the objects that came have less pixels than before.

    Areas that are as before are struck off one against the other; what is left was cut.
    """
    wanted, counts = np.unique(areas, return_counts=True)
    left = dict(zip(wanted.tolist(), counts.tolist(), strict=True))
    cut = 0
    for label in labels:
        area = int(shown[label])
        if left.get(area, 0):
            left[area] -= 1
        else:
            cut += 1
    return cut
