"""Folders in which each image has a label image of nearly the same name."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_dataset import CocoDataset
from napari_sartorius.io.faults import Fault, cause_of
from napari_sartorius.io.folder_records import record_of
from napari_sartorius.io.images import IMAGE_SUFFIXES
from napari_sartorius.io.joining import join_datasets
from napari_sartorius.io.label_objects import read_label_objects

if TYPE_CHECKING:
    from collections.abc import Iterable

LABEL_ENDINGS = ("_cp_masks", "_labels", "_label", "_masks", "_mask", "_seg")
"""What follows an image's name in the name of its labels."""

_PICTURE_OF_RESULTS = "_overlay"  # in the name of what `segment` draws beside an image

_IMAGE_FOLDER = "images"
_LABEL_FOLDERS = ("labels", "masks", "annotations", "groundtruth")


@dataclass
class _Names:
    """Files of a folder by their roles."""

    pairs: list[tuple[Path, Path]] = field(default_factory=list)
    lone_images: list[Path] = field(default_factory=list)
    lone_labels: list[Path] = field(default_factory=list)


def is_label_pairs(folder: Path) -> bool:
    """Whether `read_label_pairs` would find something in the folder itself; looks at names only."""
    return bool(_names(folder).pairs)


def holds_label_pairs(folder: Path) -> bool:
    """Whether `read_label_pairs` would find something in the folder or below it."""
    return any(_names(place).pairs for place in _places(folder))


def read_label_pairs(folder: str | Path, faults: list[Fault] | None = None) -> CocoDataset:
    """Read images and label images side by side.

    Parameters
    ----------
    folder
        Either ``a.tif`` with ``a_labels.tif`` (or another of `LABEL_ENDINGS`) beside it, or
        ``images/a.tif`` with ``labels/a.tif`` (or ``masks/``); where the folder itself has no such
        pair, all folders below it that do.
    faults
        When given, pairs that cannot be read are left out and named in this list.

    Returns
    -------
    CocoDataset
        Image ids count from 1 in the order of names. Categories are those of the table
        ``a_objects.csv`` beside the labels; ``cell`` where there is none. Images without labels
        and labels without an image are in `CocoDataset.left_out`.

    Raises
    ------
    UserError
        When there is no such pair, or, without `faults`, an image or its labels cannot be read, or
        labels have another size than their image.
    """
    folder = Path(folder)
    names = _names(folder)
    if not names.pairs:
        names = _joined([_names(place) for place in _places(folder)])
    if not names.pairs:
        raise UserError(
            f"{folder} holds no images with labels, expected a.tif beside a_labels.tif, or the "
            "folders images and labels: choose another folder."
        )
    parts = []
    for number, (image, labels) in enumerate(names.pairs, start=1):
        part = _read_pair(folder, number, image, labels, faults)
        if part is not None:
            parts.append(part)
    nothing = CocoDataset([], categories_from_names(["cell"]), {}, {}, folder)
    dataset = join_datasets(parts) if parts else nothing
    return replace(dataset, left_out=tuple(_left_out(folder, names)))


def _read_pair(
    folder: Path, number: int, image: Path, labels: Path, faults: list[Fault] | None
) -> CocoDataset | None:
    record = record_of(folder, number, image, faults)
    if record is None:
        return None
    try:
        objects, kinds = read_label_objects(labels, record.size)
    except UserError as error:
        if faults is None:
            raise
        text = f"its label image {labels.name} cannot be used ({cause_of(error, labels)})"
        faults.append(Fault("unusable labels", record.file_name, None, text))
        return None
    return CocoDataset([record], kinds, {number: objects}, {}, folder)


def _left_out(folder: Path, names: _Names) -> Iterable[Fault]:
    for path in names.lone_images:
        name = path.relative_to(folder).as_posix()
        yield Fault("image without labels", name, None, "has no label image")
    for path in names.lone_labels:
        name = path.relative_to(folder).as_posix()
        yield Fault("labels without image", name, None, "holds labels of an image that is missing")


def _places(folder: Path) -> list[Path]:
    """The folder and all below it, in the order of their names; links to folders are not followed.

    Folders of images and labels belong to the one that they are in.
    """
    roles = {_IMAGE_FOLDER, *_LABEL_FOLDERS}
    found = []
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name.lower() not in roles
        )
        found.append(Path(place))
    return found


def _joined(parts: list[_Names]) -> _Names:
    """Pairs of several folders; folders without any say nothing of their pictures."""
    names = _Names()
    for part in parts:
        if part.pairs:
            names.pairs += part.pairs
            names.lone_images += part.lone_images
            names.lone_labels += part.lone_labels
    return names


def _names(folder: Path) -> _Names:
    names = _Names()
    if not folder.is_dir():
        return names
    folders = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    below = folders.get(_IMAGE_FOLDER)
    apart = below is not None
    if below is not None:
        others = [folders[name] for name in _LABEL_FOLDERS if name in folders]
        pictures, of_labels = _files(below), [path for other in others for path in _files(other)]
    else:
        pictures = of_labels = _files(folder)
    labels = {path.stem: path for path in of_labels}
    stems = {path.stem for path in pictures}
    for picture in pictures:
        is_labels = not apart and picture.stem.endswith(LABEL_ENDINGS)
        if is_labels and _stem_of(picture) in stems:
            continue
        wanted = [picture.stem + ending for ending in LABEL_ENDINGS]
        if apart:
            wanted.append(picture.stem)
        found = next((labels[name] for name in wanted if name in labels), None)
        if found is not None:
            names.pairs.append((picture, found))
        elif is_labels:
            names.lone_labels.append(picture)
        elif picture.stem.removesuffix(_PICTURE_OF_RESULTS) in stems - {picture.stem}:
            continue
        else:
            names.lone_images.append(picture)
    if apart:
        names.lone_labels = [
            path for path in of_labels if path.stem not in stems and _stem_of(path) not in stems
        ]
    return names


def stem_of_image(picture: Path) -> str | None:
    """Stem of the image whose labels or overlay a picture is by its name; None of an image."""
    stem = _stem_of(picture)
    if stem == picture.stem:
        stem = stem.removesuffix(_PICTURE_OF_RESULTS)
    return None if stem == picture.stem else stem


def _stem_of(labels: Path) -> str:
    ending = next((end for end in LABEL_ENDINGS if labels.stem.endswith(end)), "")
    return labels.stem.removesuffix(ending)


def _files(folder: Path) -> list[Path]:
    """Images of a folder, without the hidden ones that some systems put beside each file."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
