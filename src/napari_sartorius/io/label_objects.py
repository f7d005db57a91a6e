"""Label images as objects of an image, with the table of their categories where one lies beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.labels_tiff import read_label_instances
from napari_sartorius.io.ome_zarr_labels import read_zarr_labels
from napari_sartorius.io.table_csv import read_table

if TYPE_CHECKING:
    from pathlib import Path


def read_label_objects(path: Path, size: tuple[int, int]) -> tuple[Instances, list[Category]]:
    """Objects of a label image (TIFF, PNG) for an image of `size` (height, width).

    The table ``a_objects.csv`` beside ``a_labels.tif`` brings categories and scores.

    Raises
    ------
    UserError
        When the file cannot be read, holds no labels, or has another size.
    """
    found = read_label_instances(path)
    table = path.with_name(path.stem.removesuffix("_labels") + "_objects.csv")
    return _checked(found, size, path), _take_table(found, table)


def read_zarr_objects(path: Path, size: tuple[int, int]) -> tuple[Instances, list[Category]]:
    """As `read_label_objects`, for labels in OME-Zarr."""
    labels, axes, _ = read_zarr_labels(path)
    if labels.ndim != 2:
        raise UserError(f"{path} is a stack ({axes}), expected a single label image.")
    masks, ids = CropMasks.from_labels(labels)
    found = Instances.from_masks(masks)
    found.columns["label"] = ids
    table = path.with_name(path.stem.removesuffix("_labels") + "_objects.csv")
    return _checked(found, size, path), _take_table(found, table)


def _checked(found: Instances, size: tuple[int, int], path: Path) -> Instances:
    if found.image_size != size:
        height, width = found.image_size
        raise UserError(
            f"{path} is {width} x {height} pixels but its image is {size[1]} x {size[0]}: choose "
            "the labels of this image."
        )
    return found


def _take_table(found: Instances, path: Path) -> list[Category]:
    """Give objects the scores and categories of a table beside them, when it is theirs."""
    plain = [Category(1, "cell")]
    if not path.is_file():
        return plain
    table = read_table(path)
    if not {"index", "category"} <= table.keys():
        return plain
    rows = {int(label): row for row, label in enumerate(table["index"].tolist())}
    labels = found.columns["label"].tolist()
    if any(label not in rows for label in labels):
        return plain
    places = np.array([rows[label] for label in labels], np.int64)
    names = list(dict.fromkeys(table["category"].astype(str).tolist()))
    found.categories[:] = [names.index(str(table["category"][row])) for row in places.tolist()]
    if "score" in table:
        found.scores[:] = table["score"][places]
    return [Category(n + 1, name, default_colour(n)) for n, name in enumerate(names)] or plain
