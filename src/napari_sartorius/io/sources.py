"""Annotated images from wherever they are: the one function that every verb on data begins with."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco import dataset_of, read_json
from napari_sartorius.io.dsb import is_dsb_folder, read_dsb
from napari_sartorius.io.image_names import addressed_name, posix_name, without_number
from napari_sartorius.io.kaggle import read_train_csv
from napari_sartorius.io.label_pairs import (
    holds_label_pairs,
    is_label_pairs,
    read_label_pairs,
)
from napari_sartorius.io.project.folder import relative_name
from napari_sartorius.io.project.opening import project_dataset

if TYPE_CHECKING:
    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
    from napari_sartorius.io.faults import Fault


def read_dataset(
    source: str | Path,
    images: str | Path | None = None,
    faults: list[Fault] | None = None,
) -> CocoDataset:
    """Read annotations that say themselves which images they belong to.

    Parameters
    ----------
    source
        A COCO file in any dialect (also LIVECell's, whole and single-cell), ``train.csv`` of the
        Sartorius competition, a project's folder, a DSB folder, a folder with pairs of images and
        label images, or a folder with one of these files in it.
    images
        Where to look for image files that are not where the annotations say, folders below it
        included. Of several files of one name that is taken which lies in folders as the
        annotations say.
    faults
        When given, what cannot be read in a folder of pictures or in a ``train.csv`` is left out
        and named in this list.

    Returns
    -------
    CocoDataset
        Records of LIVECell's images get ``cell_type``, ``well`` and ``field`` of their names,
        those of the competition ``plate``, ``well`` and ``plate_well`` of their ``sample_id``.

    Raises
    ------
    UserError
        When it is none of these, or is damaged (see `faults`); or when there is no folder `images`.
    """
    source = Path(source)
    dataset = _read(annotations_file(source), source, faults)
    return dataset if images is None else find_images(dataset, images)


def annotations_file(source: Path) -> Path | None:
    """The file that holds a source's annotations; None for folders of pictures.

    Raises
    ------
    UserError
        When a folder holds several that could be meant.
    """
    if not source.is_dir():
        return source
    for name in ("annotations.json", "train.csv"):
        if (source / name).is_file():
            return source / name
    if is_dsb_folder(source) or is_label_pairs(source):
        return None
    found = sorted(source.glob("*.json"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:4])
        raise UserError(f"{source} holds several files ({names}): name the one that is meant.")
    return found[0] if found else None


def find_images(dataset: CocoDataset, folder: str | Path) -> CocoDataset:
    """Records whose files are missing, led to files of the same name in a folder or below it.

    Raises
    ------
    UserError
        When there is no such folder, or it holds several files that an image could be.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder, expected the one that the images are in.")
    by_name: dict[str, list[Path]] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            by_name.setdefault(name, []).append(Path(place, name))
    start = dataset.folder or Path()

    def led(image: CocoImage) -> CocoImage:
        if dataset.image_path(image).is_file():
            return image
        there = next((by_name[name] for name in own_names(image) if name in by_name), None)
        if there is None:
            return image
        return replace(image, file_name=relative_name(_likest(image, there, folder), start))

    return replace(dataset, images=[led(image) for image in dataset.images])


def own_names(image: CocoImage) -> list[str]:
    """How the file of a record may be called, without folders, likeliest first.

    Programs that images were loaded up to write what they call them: as part of an address, with
    a number in front (Label Studio).
    """
    said = posix_name(image)
    names = [PurePosixPath(said).name, addressed_name(said)]
    names += [without_number(name) for name in names]
    return list(dict.fromkeys(names))


def _likest(image: CocoImage, files: list[Path], folder: Path) -> Path:
    """The file that shares most of the folders at the end of an image's path."""
    wanted = PurePosixPath(posix_name(image)).parts

    def shared(path: Path) -> int:
        pairs = zip(reversed(wanted), reversed(path.absolute().parts), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    most = max(map(shared, files))
    best = sorted(path for path in files if shared(path) == most)
    if len(best) > 1:
        raise UserError(
            f"{image.file_name} could be {best[0].relative_to(folder)} or "
            f"{best[1].relative_to(folder)} in {folder}: name the folder that holds the right one."
        )
    return best[0]


def with_names_read(dataset: CocoDataset) -> CocoDataset:
    """Records with what LIVECell's names say: ``<type>_Phase_<well>_<field>_<time>_<crop>``."""

    def told(image: CocoImage) -> CocoImage:
        parts = image.stem.split("_")
        if len(parts) < 5 or parts[1] != "Phase":
            return image
        known = {"cell_type": parts[0], "well": parts[2], "field": f"{parts[2]}_{parts[3]}"}
        return replace(image, extra=known | image.extra)

    return replace(dataset, images=[told(image) for image in dataset.images])


def _read(file: Path | None, source: Path, faults: list[Fault] | None) -> CocoDataset:
    if file is None:
        if not is_label_pairs(source) and is_dsb_folder(source):
            return read_dsb(source, faults=faults)
        if not holds_label_pairs(source):
            raise UserError(
                f"{source} holds no annotated images, expected a COCO file, a train.csv, a.tif "
                "beside a_labels.tif, the folders images and labels, or <name>/images and "
                "<name>/masks with a mask per cell: choose another folder or file."
            )
        return read_label_pairs(source, faults)
    if file.suffix.lower() == ".csv":
        return read_train_csv(file, faults=faults)
    if source.is_dir() and file.name == "annotations.json":
        return project_dataset(source)
    return with_names_read(dataset_of(read_json(file), file))
