"""Tables of the Sartorius competition: training annotations in, submissions out and in."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
from napari_sartorius.io.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

# The order all published solutions use.
_USUAL_ORDER = ("shsy5y", "astro", "cort")
_PER_OBJECT = {"id", "annotation", "width", "height"}


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
        Image ids are the competition's; every further column is kept in `CocoImage.extra`, and
        ``sample_id`` gives ``plate``, ``well`` and ``plate_well``.
        Doubled and overlapping masks stay as they are.

    Raises
    ------
    UserError
        When the file is no such table, or, without `faults`, when a code or a size is damaged.
    """
    path = Path(path)
    rows = _rows(path, {"id", "annotation", "width", "height", "cell_type"}, "train.csv")
    found = dict.fromkeys(row["cell_type"] for row in rows)
    names = [name for name in _USUAL_ORDER if name in found]
    names += [name for name in found if name not in _USUAL_ORDER]
    by_image: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in enumerate(rows, start=2):  # the names of the columns are the first
        by_image.setdefault(row["id"], []).append((line, row))
    images, instances = [], dict[ImageId, Instances]()
    for stem, lines in by_image.items():
        first = lines[0][1]
        file_name = f"{image_folder}/{stem}.png"
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
        extra = {key: value for key, value in first.items() if key not in _PER_OBJECT}
        extra = plate_and_well(extra.get("sample_id", "")) | extra
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
        Images without objects have no row, as in the original.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    extras = list(dict.fromkeys(key for image in dataset.images for key in _plain_extras(image)))
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "annotation", "width", "height", "cell_type", *extras])
        for image in dataset.images:
            instances = dataset.instances[image.id]
            own = _plain_extras(image)
            values = [own.get(key, "") for key in extras]
            codes = zip(instances.masks.to_kaggle_rle(), instances.categories.tolist(), strict=True)
            for code, category in codes:
                name = dataset.category_names[category]
                writer.writerow([image.stem, code, image.width, image.height, name, *values])


def _plain_extras(image: CocoImage) -> dict[str, Any]:
    """What a record knows besides and a table can hold."""
    return {
        key: value
        for key, value in image.extra.items()
        if isinstance(value, str | int | float) and key not in _PER_OBJECT | {"cell_type"}
    }


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
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
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
    for row in _rows(path, {"id", "predicted"}, "a submission"):
        group = codes.setdefault(row["id"], [])
        if row["predicted"].strip():
            group.append(row["predicted"])
    if unknown := [stem for stem in codes if stem not in sizes]:
        raise UserError(f"{path}: image {unknown[0]} is not one of the images given with it.")
    return {
        stem: Instances.from_masks(_decode(group, stem, sizes[stem], path))
        for stem, group in codes.items()
    }


def _rows(path: Path, needed: set[str], what: str) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = sorted(needed - set(reader.fieldnames or ()))
            if missing:
                raise UserError(
                    f"{path} is not {what}, it lacks the columns {', '.join(missing)}: "
                    "choose another file."
                )
            rows = [{key: row[key] or "" for key in reader.fieldnames or ()} for row in reader]
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: check the path.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror}): expected a file.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV table ({error}): choose another file.") from error
    return rows


def _size(row: dict[str, str]) -> tuple[int, int]:
    """Width and height; raises ValueError where there are none."""
    width, height = int(row["width"]), int(row["height"])
    if width <= 0 or height <= 0:
        raise ValueError(f"{width} x {height} pixels")
    return width, height


def _decode_lines(
    lines: list[tuple[int, dict[str, str]]],
    image: CocoImage,
    path: Path,
    faults: list[Fault] | None,
) -> tuple[CropMasks, list[dict[str, str]]]:
    """Masks of an image's lines, and the rows that they are of."""
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


def _decode(codes: list[str], stem: str, size: tuple[int, int], path: Path) -> CropMasks:
    try:
        return CropMasks.from_kaggle_rle(codes, size)
    except ValueError as error:
        text = str(error).rstrip(".")
        raise UserError(f"{path}: image {stem}: {text}; write the file again.") from error
