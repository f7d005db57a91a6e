"""Read COCO instance annotations: ours, LIVECell's, Sartorius competition exports, results lists.

Strict where silence would lose objects (dangling ids, wrong sizes, impossible boxes), liberal where
files merely differ in style (all three forms of masks, dicts in place of lists, names as ids).
Duplicated and hollow objects are kept as they are: cleaning data is the user's decision.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
from napari_sartorius.io.coco_results import with_ids_of
from napari_sartorius.io.coco_segmentation import decode_segmentations
from napari_sartorius.io.coco_writing import write_coco, write_coco_results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "CocoDataset",
    "CocoImage",
    "ImageId",
    "dataset_of",
    "read_coco",
    "read_coco_results",
    "read_json",
    "write_coco",
    "write_coco_results",
]

_ANNOTATION_KEYS = frozenset(
    {"id", "image_id", "category_id", "segmentation", "bbox", "area", "score", "iscrowd"}
)


def read_coco(path: str | Path) -> CocoDataset:
    """Read a COCO dataset file.

    Parameters
    ----------
    path
        JSON with ``images``, ``categories`` and ``annotations``, each a list or, as in LIVECell's
        single-cell files, a dict of the same records.

    Returns
    -------
    CocoDataset
        Objects in the file's order. Boxes are the file's ``bbox``, tight around the mask where it
        has none; scores are 1 where it has none.

    Raises
    ------
    UserError
        Naming the file, the record and the remedy: no JSON, no COCO dataset, missing keys, ids
        that point nowhere, damaged masks, or boxes with negative sides or outside their image.
    """
    path = Path(path)
    return dataset_of(read_json(path), path)


def dataset_of(content: Any, path: Path) -> CocoDataset:
    """Dataset that the parsed JSON of a file describes.

    Parameters
    ----------
    content
        As `read_json` gives it.
    path
        The file, for errors and as the place where relative file names start.

    Raises
    ------
    UserError
        As `read_coco`.
    """
    if isinstance(content, list):
        raise UserError(
            f"{path} is a COCO results list, which does not describe its images: give a COCO "
            "dataset, with 'images', 'categories' and 'annotations', such as instances.json."
        )
    missing = [k for k in ("images", "annotations", "categories") if k not in _keys(content)]
    if missing:
        raise UserError(
            f"{path} is not a COCO dataset, it lacks {', '.join(map(repr, missing))}: "
            "choose a COCO annotation file."
        )
    images = [_image(record, path) for record in _records(content["images"], "images", path)]
    categories = _categories(_records(content["categories"], "categories", path), path)
    _unique([image.id for image in images], "image", path)
    _unique([category.id for category in categories], "category", path)
    annotations = _records(content["annotations"], "annotations", path)
    info = content.get("info")
    return CocoDataset(
        images=images,
        categories=categories,
        instances=_instances(annotations, images, categories, path),
        info=dict(info) if isinstance(info, dict) else {},
        folder=path.parent,
    )


def read_coco_results(
    path: str | Path, dataset: CocoDataset, monitor: Monitor | None = None
) -> CocoDataset:
    """Read a COCO results list against the dataset whose images and categories it refers to.

    Parameters
    ----------
    path
        JSON list of ``image_id``, ``category_id``, ``segmentation``, ``score``. Lists of ours also
        say ``file_name`` and ``category_name``, which go before the ids.
    dataset
        Gives image sizes and categories.
    monitor
        Is told of images that the dataset lacks.

    Returns
    -------
    CocoDataset
        The same images with the objects of the results, none where the list is silent about an
        image. The categories are the same, too, unless the list names others.

    Raises
    ------
    UserError
        As `read_coco`, when the file is no list, or when it is about other images.
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, list):
        raise UserError(f"{path} is not a COCO results list: expected a JSON list of objects.")
    records, categories = with_ids_of(
        _records(content, "results", path), dataset, path, monitor or Monitor()
    )
    instances = _instances(records, dataset.images, categories, path)
    return CocoDataset(dataset.images, categories, instances, {}, dataset.folder)


def read_json(path: Path) -> Any:
    """Parse a JSON file; every failure is a UserError that names the file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: check the path.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror}): expected a file.") from error
    if not data.strip():
        raise UserError(f"{path} is empty, expected JSON: copy or export it again.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not valid JSON ({error}): it may be cut off; copy or export it again."
        ) from error


def _keys(content: Any) -> set[str]:
    return set(content) if isinstance(content, dict) else set()


def _records(content: Any, name: str, path: Path) -> list[dict[str, Any]]:
    records = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise UserError(
            f"{path}: {name!r} is not a list of records; choose a COCO annotation file."
        )
    return records


def _need(record: dict[str, Any], keys: Sequence[str], what: str, path: Path) -> None:
    missing = [key for key in keys if key not in record]
    if missing:
        raise UserError(
            f"{path}: {what} lacks {', '.join(map(repr, missing))}; complete or remove the record."
        )


def _unique(ids: Sequence[ImageId], what: str, path: Path) -> None:
    seen: set[ImageId] = set()
    for number in ids:
        if number in seen:
            raise UserError(f"{path}: two {what} records have the id {number!r}; renumber one.")
        seen.add(number)


def _image(record: dict[str, Any], path: Path) -> CocoImage:
    what = f"image {record.get('id', record.get('file_name', '?'))!r}"
    _need(record, ("id", "file_name", "width", "height"), what, path)
    try:
        width, height = int(record["width"]), int(record["height"])
    except (TypeError, ValueError):
        width = height = 0
    if width <= 0 or height <= 0 or not isinstance(record["id"], int | str):
        raise UserError(
            f"{path}: {what} has the size {record['width']} x {record['height']}, expected "
            "positive numbers of pixels and an id; correct or remove the record."
        )
    known = {"id", "file_name", "width", "height"}
    extra = {key: value for key, value in record.items() if key not in known}
    return CocoImage(record["id"], str(record["file_name"]), width, height, extra)


def _categories(records: list[dict[str, Any]], path: Path) -> list[Category]:
    categories = []
    for position, record in enumerate(records):
        what = f"category {record.get('name', record.get('id', position + 1))!r}"
        _need(record, ("id", "name"), what, path)
        try:
            number, name = int(record["id"]), str(record["name"])
            try:
                colour = str(record.get("colour", record.get("color", "")))
                categories.append(Category(number, name, colour))
            except ValueError:
                categories.append(Category(number, name, default_colour(position)))
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: {what} is not usable ({error}); correct it.") from error
    return categories


def _instances(
    annotations: list[dict[str, Any]],
    images: list[CocoImage],
    categories: list[Category],
    path: Path,
) -> dict[ImageId, Instances]:
    grouped: dict[ImageId, list[tuple[ImageId, dict[str, Any]]]] = {i.id: [] for i in images}
    position = {category.id: n for n, category in enumerate(categories)}
    for number, record in enumerate(annotations, start=1):
        name = record.get("id", number)
        _need(record, ("image_id", "category_id", "segmentation"), f"annotation {name}", path)
        for key, table in (("image_id", grouped), ("category_id", position)):
            if not isinstance(record[key], int | str) or record[key] not in table:
                raise UserError(
                    f"{path}: annotation {name} points to {key} {record[key]!r}, which the file "
                    "does not define; add that record or remove the annotation."
                )
        grouped[record["image_id"]].append((name, record))
    return {i.id: _one_image(grouped[i.id], i.size, position, path) for i in images}


def _one_image(
    named: list[tuple[ImageId, dict[str, Any]]],
    size: tuple[int, int],
    position: dict[int, int],
    path: Path,
) -> Instances:
    names = [f"{path}: annotation {name}" for name, _ in named]
    records = [record for _, record in named]
    masks = decode_segmentations([r["segmentation"] for r in records], names, size)
    columns: dict[str, NDArray[Any]] = {"annotation_id": np.array([n for n, _ in named])}
    if not records:
        columns["annotation_id"] = np.zeros(0, np.int64)
    if any(record.get("iscrowd") for record in records):
        columns["iscrowd"] = np.array([int(bool(r.get("iscrowd"))) for r in records])
    try:
        scores = np.array([float(r.get("score", 1.0)) for r in records], np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: a score is not a number ({error}); correct it.") from error
    return Instances(
        image_size=size,
        boxes=_boxes(records, names, masks.bounding_boxes(), size),
        scores=scores,
        categories=np.array([position[r["category_id"]] for r in records], np.int64),
        masks=masks,
        columns=columns | _extra_columns(records),
    )


def _boxes(
    records: list[dict[str, Any]],
    names: list[str],
    tight: NDArray[np.float32],
    size: tuple[int, int],
) -> NDArray[np.float32]:
    """Boxes as xyxy, the file's where it has them, checked and cut to the image."""
    boxes = tight.astype(np.float64)
    for i, record in enumerate(records):
        if (box := record.get("bbox")) is None:
            continue
        try:
            x, y, w, h = (float(value) for value in box)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{names[i]} has the box {box}, expected four numbers [x, y, width, height]; "
                "correct it."
            ) from error
        boxes[i] = x, y, x + w, y + h
        # Outlines traced along pixel corners may stick out by a fraction of a pixel.
        inside = x >= -1 and y >= -1 and x + w <= size[1] + 1 and y + h <= size[0] + 1
        if not (w >= 0 and h >= 0 and inside):
            raise UserError(
                f"{names[i]} has the box {box}, expected [x, y, width, height] with sides that "
                f"are not negative, inside its {size[1]} x {size[0]} image; correct it, or remove "
                "'bbox' to have it taken from the mask."
            )
    return np.clip(boxes, 0, [size[1], size[0], size[1], size[0]]).astype(np.float32)


def _extra_columns(records: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    if not records:
        return {}
    columns = {}
    for key in records[0]:
        if key not in _ANNOTATION_KEYS:
            values = [record.get(key) for record in records]
            for kind in (str, bool, int, float):
                wanted = (int, float) if kind is float else kind
                if all(isinstance(v, wanted) for v in values):
                    columns[key] = np.array(values, dtype=kind)
                    break
    return columns
