"""Folders in which each image has a label image of nearly the same name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
from napari_sartorius.io.images import IMAGE_SUFFIXES, read_image
from napari_sartorius.io.joining import join_datasets
from napari_sartorius.io.label_objects import read_label_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL_ENDINGS = ("_cp_masks", "_labels", "_label", "_masks", "_mask", "_seg")
"""What follows an image's name in the name of its labels."""

_LABEL_FOLDERS = ("labels", "masks", "annotations", "groundtruth")


def is_label_pairs(folder: Path) -> bool:
    """Whether `read_label_pairs` would find something; looks at names only."""
    return next(_pairs(folder), None) is not None


def read_label_pairs(folder: str | Path) -> CocoDataset:
    """Read images and label images side by side.

    Parameters
    ----------
    folder
        Either ``a.tif`` with ``a_labels.tif`` (or another of `LABEL_ENDINGS`) beside it, or
        ``images/a.tif`` with ``labels/a.tif`` (or ``masks/``). Images without labels are left out.

    Returns
    -------
    CocoDataset
        Image ids count from 1 in the order of names. Categories are those of the table
        ``a_objects.csv`` beside the labels; ``cell`` where there is none.

    Raises
    ------
    UserError
        When there is no such pair, or labels cannot be read or have another size than their image.
    """
    folder = Path(folder)
    parts = []
    for number, (image, labels) in enumerate(_pairs(folder), start=1):
        height, width = read_image(image).size
        record = CocoImage(number, image.relative_to(folder).as_posix(), width, height)
        objects, kinds = read_label_objects(labels, record.size)
        parts.append(CocoDataset([record], kinds, {number: objects}, {}, folder))
    if not parts:
        raise UserError(
            f"{folder} holds no images with labels, expected a.tif beside a_labels.tif, or the "
            "folders images and labels: choose another folder."
        )
    return join_datasets(parts)


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    if not folder.is_dir():
        return
    below = folder / "images"
    if below.is_dir():
        others = [folder / name for name in _LABEL_FOLDERS if (folder / name).is_dir()]
        labels = {path.stem: path for other in others for path in _files(other)}
        pictures = _files(below)
    else:
        pictures = _files(folder)
        labels = {path.stem: path for path in pictures}
    for picture in pictures:
        names = [picture.stem + ending for ending in LABEL_ENDINGS]
        if below.is_dir():
            names.append(picture.stem)
        elif picture.stem.endswith(LABEL_ENDINGS) and _stem_of(picture) in labels:
            continue
        found = next((labels[name] for name in names if name in labels), None)
        if found is not None:
            yield picture, found


def _stem_of(labels: Path) -> str:
    ending = next(end for end in LABEL_ENDINGS if labels.stem.endswith(end))
    return labels.stem.removesuffix(ending)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
