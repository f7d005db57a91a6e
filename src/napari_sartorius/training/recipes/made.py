"""What stages of recipes make, where it is, and why one may have made nothing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from napari_sartorius.io.atomic import atomic_folder
from napari_sartorius.training.run_files import MODEL_FOLDER
from napari_sartorius.zoo import AnyBundle, open_bundle
from napari_sartorius.zoo.manage import renamed

LABELS_FILE = "labels.json"
"""What a stage ``pseudo_labels`` leaves behind."""


class LeftOut(Exception):
    """A stage cannot run, and the recipe says that it may be left out; the message says why."""


@dataclass(frozen=True, eq=False)
class Made:
    """What a stage has made: a model, or a file with labels."""

    bundle: AnyBundle | None = None
    labels: Path | None = None


def copied(bundle: AnyBundle, place: Path, name: str) -> AnyBundle:
    """A copy of a model under another name."""
    with atomic_folder(place) as folder:
        shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
        renamed(replace(bundle, path=folder), name, folder)
    return open_bundle(place)


def finished(folder: Path) -> Made | None:
    """What a stage has made in its folder; None when it is not finished."""
    if (folder / MODEL_FOLDER / "model.json").is_file():
        return Made(open_bundle(folder / MODEL_FOLDER))
    if (folder / LABELS_FILE).is_file():
        return Made(labels=folder / LABELS_FILE)
    return None
