"""Makes projects and opens them, also after a crash and while another window has them open."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import remove_leftovers
from napari_sartorius.io.coco import CocoDataset, dataset_of, read_json
from napari_sartorius.io.project import folder as names
from napari_sartorius.io.project.deleting import find_from_before
from napari_sartorius.io.project.project import Project
from napari_sartorius.io.project.records import NAMESPACE
from napari_sartorius.io.project.state import FORMAT

if TYPE_CHECKING:
    from collections.abc import Sequence


def create_project(folder: str | Path, categories: Sequence[str | Category] = ("cell",)) -> Project:
    """Make an empty project and open it.

    Parameters
    ----------
    folder
        A new or empty folder.
    categories
        Kinds of objects, at least one; more can be added later.

    Raises
    ------
    UserError
        When the folder holds something already or cannot be written to.
    """
    folder = Path(folder)
    if (folder / names.ANNOTATIONS).exists():
        raise UserError(f"{folder} is a project already: open it, or choose a new folder.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty: choose a new folder for the project.")
    kinds = [
        kind if isinstance(kind, Category) else Category(n, kind)
        for n, kind in enumerate(categories, start=1)
    ]
    project = Project(folder, CocoDataset([], kinds, {}, {}, folder), [])
    project.save()  # makes the folder, too
    for name in (names.IMAGES, names.MODELS, names.RUNS):
        (folder / name).mkdir(exist_ok=True)
    project.take_over()
    return project


def open_project(folder: str | Path) -> Project:
    """Open a project and make the edits of its journal again.

    Where another window has it open, or its folder cannot be written to, it opens to be looked at
    only: `Project.read_only` says why.

    Parameters
    ----------
    folder
        The project's folder, or its ``annotations.json``.

    Raises
    ------
    UserError
        When there is no project, it is from a newer version, or its annotations are damaged.
    """
    folder = Path(folder)
    if folder.name == names.ANNOTATIONS:
        folder = folder.parent
    path = folder / names.ANNOTATIONS
    if not path.is_file():
        raise UserError(f"{folder} is no project, it has no {names.ANNOTATIONS}: choose another.")
    content = read_json(path)
    dataset = dataset_of(content, path)
    saved = dataset.info.get(NAMESPACE)
    if not isinstance(saved, dict) or not isinstance(saved.get("project"), int):
        raise UserError(
            f"{path} is a COCO file but no project of this program: make a new project and import "
            "it there."
        )
    if saved["project"] > FORMAT:
        raise UserError(f"{folder} is from a newer version: update napari-sartorius.")
    annotations = content["annotations"]
    if isinstance(annotations, dict):
        annotations = list(annotations.values())
    project = Project(folder, dataset, annotations)
    project.saved_at = datetime.fromtimestamp(path.stat().st_mtime)
    project.take_over()
    if project.read_only is None:
        remove_leftovers(folder)
    find_from_before(project)
    return project


def project_dataset(folder: str | Path) -> CocoDataset:
    """All images and objects of a project as they are now, also while a window has it open.

    Edits that are in the journal only are there, too; nothing is changed.

    Raises
    ------
    UserError
        As `open_project`; a folder with a COCO file of another program is read as such.
    """
    path = Path(folder) / names.ANNOTATIONS
    content = read_json(path)
    dataset = dataset_of(content, path)
    if not isinstance(dataset.info.get(NAMESPACE), dict):
        return dataset
    project = open_project(folder)
    try:
        return dataset_of(json.loads(project.text()), path)
    finally:
        project.give_back()
