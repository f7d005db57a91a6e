"""The training table of the Sartorius competition, ``train.csv``, in and out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
from napari_sartorius.io.csv_rows import csv_rows, new_table
from napari_sartorius.io.faults import Fault
from napari_sartorius.io.image_names import plane_of, unique_names

# The order all published solutions use.
_USUAL_ORDER = ("shsy5y", "astro", "cort")
_PER_OBJECT = {"id", "annotation", "width", "height"}
_OF_PLACE = {"file_name", "plane"}


def read_train_csv(
    path: str | Path, *, image_folder: str = "train", faults: list[Fault] | None = None
) -> CocoDataset:
    """Read the competition's ``train.csv``: one row per cell, run-length coded.

    Parameters
    ----------
    path
        CSV with at least the columns id, annotation, width, height, cell_type.
    image_folder
        Where ``<id>.png`` lie, relative to the CSV.
    faults
        When given, lines that cannot be read are left out and named in this list.

    Returns
    -------
    CocoDataset
        Image ids are the competition's. A column ``file_name`` (from the CSV's folder) says where
        an image lies, a column ``plane`` which one of a stack it is; every further column is kept
        in `CocoImage.extra`, and ``sample_id`` gives ``plate``, ``well`` and ``plate_well``.
        Doubled and overlapping masks stay as they are.

    Raises
    ------
    UserError
        When the file is no such table, or, without `faults`, when a code or a size is damaged.
    """
    path = Path(path)
    rows = csv_rows(path, {"id", "annotation", "width", "height", "cell_type"}, "train.csv")
    found = dict.fromkeys(row["cell_type"] for row in rows if row["cell_type"].strip())
    names = [name for name in _USUAL_ORDER if name in found]
    names += [name for name in found if name not in _USUAL_ORDER]
    by_image: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in enumerate(rows, start=2):  # the names of the columns are the first
        by_image.setdefault(row["id"], []).append((line, row))
    images, instances = [], dict[ImageId, Instances]()
    for stem, lines in by_image.items():
        first = lines[0][1]
        file_name = _file_of(first, _usual_file(stem, image_folder), path.parent)
        try:
            width, height = _size(first)
        except ValueError as error:
            if faults is None:
                raise UserError(
                    f"{path}: image {stem} has no proper size ({error}): correct its lines, or let "
                    "`data check --fix` drop them."
                ) from error
            text = f"has no proper size in {path.name} ({error})"
            faults.append(Fault("damaged", file_name, None, text))
            continue
        extra: dict[str, Any] = {
            key: value for key, value in first.items() if key not in _PER_OBJECT | _OF_PLACE
        }
        extra = plate_and_well(extra.get("sample_id", "")) | extra | _plane(first)
        image = CocoImage(stem, file_name, width, height, extra)
        masks, group = _decode_lines(lines, image, path, faults)
        categories = [names.index(row["cell_type"]) for row in group]
        images.append(image)
        instances[stem] = Instances.from_masks(masks, categories=np.array(categories, np.int64))
    return CocoDataset(images, categories_from_names(names), instances, {}, path.parent)


def plate_and_well(sample_id: str) -> dict[str, str]:
    """Plate and well of a ``sample_id`` such as ``shsy5y[diff]_E10-4_...``.

    Returns
    -------
    dict
        ``plate`` (before the first underscore), ``well`` (``E10``) and ``plate_well``; empty when
        the text is not of that form.
    """
    plate, _, rest = sample_id.partition("_")
    well, dash, _ = rest.partition("_")[0].rpartition("-")
    if not plate or not dash or not well:
        return {}
    return {"plate": plate, "well": well, "plate_well": f"{plate}_{well}"}


def write_train_csv(path: str | Path, dataset: CocoDataset) -> None:
    """Write annotations as the competition's ``train.csv``: one row per object.

    Parameters
    ----------
    path
        File to make or replace, atomically.
    dataset
        Images without objects have no row, as in the original. Ids are `unique_names`; where such
        an id does not tell the file as in the original (``train/<id>.png``), the column
        ``file_name`` does, and the planes of stacks are in a column ``plane``.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    names = unique_names(dataset.images)
    own = [
        _place(image, name) | _plain_extras(image)
        for image, name in zip(dataset.images, names, strict=True)
    ]
    extras = list(dict.fromkeys(key for one in own for key in one))
    with atomic_write(path) as temporary, new_table(temporary) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "annotation", "width", "height", "cell_type", *extras])
        for image, stem, known in zip(dataset.images, names, own, strict=True):
            instances = dataset.instances[image.id]
            values = [known.get(key, "") for key in extras]
            codes = zip(instances.masks.to_kaggle_rle(), instances.categories.tolist(), strict=True)
            for code, category in codes:
                name = dataset.category_names[category]
                writer.writerow([stem, code, image.width, image.height, name, *values])


def _place(image: CocoImage, name: str) -> dict[str, str]:
    """Where an image is, as far as its id in the table does not tell."""
    place = {} if image.file_name == _usual_file(name) else {"file_name": image.file_name}
    plane = plane_of(image)
    return place | ({"plane": json.dumps(plane)} if plane else {})


def _usual_file(stem: str, folder: str = "train") -> str:
    return f"{folder}/{stem}.png"


def _file_of(row: dict[str, str], usual: str, folder: Path) -> str:
    """Where the image of a row is: as the row says, unless it lies at the usual place only."""
    said = row.get("file_name")
    if not said or (not (folder / said).is_file() and (folder / usual).is_file()):
        return usual
    return said


def _plane(row: dict[str, str]) -> dict[str, list[int]]:
    """What the column ``plane`` says; nothing where it is no list of numbers."""
    try:
        plane = json.loads(row.get("plane", ""))
    except ValueError:
        return {}
    numbers = isinstance(plane, list) and all(isinstance(n, int) for n in plane)
    return {"plane": plane} if numbers else {}


def _plain_extras(image: CocoImage) -> dict[str, Any]:
    """What a record knows besides and a table can hold."""
    return {
        key: value
        for key, value in image.extra.items()
        if isinstance(value, str | int | float)
        and key not in _PER_OBJECT | _OF_PLACE | {"cell_type"}
    }


def _size(row: dict[str, str]) -> tuple[int, int]:
    """Width and height; raises ValueError where there are none."""
    try:
        width, height = (_whole(row[side]) for side in ("width", "height"))
    except ValueError as error:
        said = " x ".join(row[side] or "nothing" for side in ("width", "height"))
        raise ValueError(f"{said} pixels") from error
    if width <= 0 or height <= 0:
        raise ValueError(f"{width} x {height} pixels")
    return width, height


def _whole(text: str) -> int:
    """A whole number, also as some tables write it: 704.0."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(number)


def _decode_lines(
    lines: list[tuple[int, dict[str, str]]],
    image: CocoImage,
    path: Path,
    faults: list[Fault] | None,
) -> tuple[CropMasks, list[dict[str, str]]]:
    """Masks of an image's lines, and the rows that they are of."""
    lines = [numbered for numbered in lines if _has_kind(*numbered, image, path, faults)]
    rows = [row for _, row in lines]
    try:
        return CropMasks.from_kaggle_rle([row["annotation"] for row in rows], image.size), rows
    except UserError:  # all at once is fast but does not know lines
        pass
    rows = []
    for line, row in lines:
        try:
            CropMasks.from_kaggle_rle([row["annotation"]], image.size)
        except UserError as error:
            why = str(error).partition("cannot be read: ")[2].rstrip(".") or str(error)
            if faults is None:
                raise UserError(
                    f"{path}: line {line}, image {image.id}: its code cannot be read ({why}): "
                    "correct or remove the line, or let `data check --fix` drop it."
                ) from error
            text = f"has a code that cannot be read ({why})"
            record = _reaching_below(row["annotation"], image)
            faults.append(
                Fault("damaged", image.file_name, line, text, True, "line", image.id, record)
            )
        else:
            rows.append(row)
    return CropMasks.from_kaggle_rle([row["annotation"] for row in rows], image.size), rows


def _has_kind(
    line: int, row: dict[str, str], image: CocoImage, path: Path, faults: list[Fault] | None
) -> bool:
    if row["cell_type"].strip():
        return True
    if faults is None:
        raise UserError(
            f"{path}: line {line}, image {image.id}: it has no cell_type: correct or remove the "
            "line, or let `data check --fix` drop it."
        )
    faults.append(
        Fault("damaged", image.file_name, line, "has no cell_type", True, "line", image.id)
    )
    return False


def _reaching_below(code: str, image: CocoImage) -> dict[str, Any] | None:
    """A code that leaves its image, on one of so many rows that it does not; None for others."""
    try:
        numbers = [int(number) for number in code.split()]
        last = max(a + b for a, b in zip(numbers[::2], numbers[1::2], strict=True))
        height = min(-(-last // image.width), 4 * image.height)
        masks = CropMasks.from_kaggle_rle([code], (height, image.width))
    except ValueError:
        return None
    return {"segmentation": masks.to_rle()[0]}
