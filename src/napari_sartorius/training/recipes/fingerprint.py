"""What a run's images are known by, so that it does not go on with others.

Names, sizes, numbers of objects and sides count, and no folders: images that were moved are the
same.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.io.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.recipes.data import RecipeData

IMAGES_FILE = "images.json"
"""Fingerprints of the images that a run began with, in its folder."""

_OPTIONS = {
    "target": "--data",
    "pretrain": "--pretrain-data",
    "unlabelled": "--unlabelled",
}


class Fingerprint(BaseModel):
    """What a set of images is known by.

    Parameters
    ----------
    images, objects
        How many.
    sha256
        Of the images' names, sizes, numbers of objects and sides in their order, and of the names
        of the categories.
    """

    model_config = ConfigDict(frozen=True)

    images: int
    objects: int
    sha256: str

    def __str__(self) -> str:
        return f"{plural(self.images, 'image')} with {plural(self.objects, 'object')}"


_Stored = TypeAdapter(dict[str, Fingerprint])


def fingerprint(dataset: CocoDataset) -> Fingerprint:
    """What a set of images is known by; their order counts, since it decides who validates."""
    said = [
        (
            PurePath(image.file_name).name,
            list(image.extra.get("plane", ())),
            image.width,
            image.height,
            len(dataset.instances[image.id]),
            str(image.extra.get("split", "")),
        )
        for image in dataset.images
    ]
    text = json.dumps([dataset.category_names, said])
    return Fingerprint(
        images=len(dataset),
        objects=dataset.object_count,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def remember_images(folder: Path, data: RecipeData) -> None:
    """Write ``images.json`` into the folder of a run."""
    hold_to_images(folder, False, **_parts(data))


def check_same_images(folder: Path, data: RecipeData) -> None:
    """Refuse other images than those that the run of a recipe began with.

    Parameters
    ----------
    folder, data
        As for `check_same_datasets`.

    Raises
    ------
    UserError
        As `check_same_datasets`.
    """
    check_same_datasets(folder, **_parts(data))


def hold_to_images(folder: Path, began: bool, **parts: CocoDataset | None) -> None:
    """Note which images a run begins with, or refuse to go on with others.

    Parameters
    ----------
    folder
        Of the run; it is made.
    began
        Whether the folder holds a run that would go on.
    parts
        As for `check_same_datasets`.

    Raises
    ------
    UserError
        As `check_same_datasets`, and when the folder cannot be written.
    """
    if began:
        check_same_datasets(folder, **parts)
    folder.mkdir(parents=True, exist_ok=True)
    told = {part: one.model_dump() for part, one in _prints(parts).items()}
    write_text(folder / IMAGES_FILE, json.dumps(told, indent=1))


def check_same_datasets(folder: Path, **parts: CocoDataset | None) -> None:
    """Refuse other images than those that the run in a folder began with.

    Parameters
    ----------
    folder
        Of the run; one without ``images.json`` (of an earlier version, or new) takes any.
    parts
        What is given now: ``target``, ``pretrain``, ``unlabelled``.

    Raises
    ------
    UserError
        Naming the option that has other images, or when the file is damaged.
    """
    path = folder / IMAGES_FILE
    if not path.is_file():
        return
    try:
        before = _Stored.validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"{path} is damaged: begin anew in another folder") from error
    now = _prints(parts)
    for part, option in _OPTIONS.items():
        if before.get(part) == now.get(part):
            continue
        then, given = before.get(part), now.get(part)
        if then is None:
            fault = f"without {option}"
        elif given is None:
            fault = f"with {option} ({then}), which is missing now"
        else:
            other = "others" if str(then) == str(given) else str(given)
            fault = f"with other images in {option} ({then}; now {other})"
        raise UserError(
            f"{folder} holds a run that began {fault}; give the same images to go on with it, or "
            "choose another folder"
        )


def _parts(data: RecipeData) -> dict[str, CocoDataset | None]:
    return {part: getattr(data, part) for part in _OPTIONS}


def _prints(parts: Mapping[str, CocoDataset | None]) -> dict[str, Fingerprint]:
    return {part: fingerprint(one) for part, one in parts.items() if one is not None}
