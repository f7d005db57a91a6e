"""Submissions to the Sartorius competition, out and in."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.io.csv_rows import csv_rows, new_table

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_submission(path: str | Path, predictions: Mapping[str, Instances]) -> None:
    """Write a competition submission: one row per object, an empty row for an empty image.

    Parameters
    ----------
    path
        File to make or replace, atomically.
    predictions
        Objects by image name without suffix. As the competition demands, objects of an image do
        not overlap in the file: a pixel goes to the object with the highest score.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    with atomic_write(path) as temporary, new_table(temporary) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "predicted"])
        for stem, instances in predictions.items():
            order = np.argsort(-instances.scores, kind="stable")
            masks = instances.masks.remove_overlap(order)
            codes = masks[masks.area() > 0].to_kaggle_rle()
            writer.writerows([stem, code] for code in codes or [""])


def read_submission(path: str | Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Instances]:
    """Read a submission back.

    Parameters
    ----------
    path
        CSV with the columns id and predicted.
    sizes
        Height and width of each image by its id.

    Returns
    -------
    dict
        Objects by image id, scores 1, categories 0; images without objects are there too.

    Raises
    ------
    UserError
        When the file is no submission, names an image without a size, or holds a damaged code.
    """
    path = Path(path)
    codes: dict[str, list[str]] = {}
    for row in csv_rows(path, {"id", "predicted"}, "a submission"):
        group = codes.setdefault(row["id"], [])
        if row["predicted"].strip():
            group.append(row["predicted"])
    if unknown := [stem for stem in codes if stem not in sizes]:
        raise UserError(f"{path}: image {unknown[0]} is not one of the images given with it.")
    return {
        stem: Instances.from_masks(_decode(group, stem, sizes[stem], path))
        for stem, group in codes.items()
    }


def _decode(codes: list[str], stem: str, size: tuple[int, int], path: Path) -> CropMasks:
    try:
        return CropMasks.from_kaggle_rle(codes, size)
    except ValueError as error:
        text = str(error).rstrip(".")
        raise UserError(f"{path}: image {stem}: {text}; write the file again.") from error
