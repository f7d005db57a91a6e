"""Write COCO datasets and results lists that every COCO tool accepts, with nothing lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sartorius.core.rings import ring_area, rings_of
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.coco_results import names_in_result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage


Shape = Literal["rle", "polygons"]
"""How masks are written: as compressed run lengths, or as polygons along the pixels' edges."""


def write_coco(
    path: str | Path, dataset: CocoDataset, *, shape: Shape = "rle", keyed: bool = False
) -> None:
    """Write a COCO dataset: masks, areas, boxes, scores, provenance in ``info``.

    Parameters
    ----------
    path
        The JSON file to make or replace, atomically.
    dataset
        Image ids and categories are written as they are; annotation ids too when column
        ``annotation_id`` holds numbers that are unique, else they are numbered from 1. Other
        columns become keys of the annotations.
    shape
        Form of the masks. COCO polygons know no holes: objects with holes, and empty ones, are
        written as run lengths in either case.
    keyed
        Write ``annotations`` as a dict by annotation id, as LIVECell's single-cell files do.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    keep_ids = _ids_are_usable(dataset)
    annotations: list[dict[str, Any]] = []
    for image in dataset.images:
        for record, number in _objects(dataset, image, shape):
            record["id"] = number if keep_ids else len(annotations) + 1
            annotations.append(record)
    write_text(
        path,
        json.dumps(
            {
                "info": _info(dataset),
                "licenses": [],
                "categories": [
                    {"id": c.id, "name": c.name, "colour": c.colour} for c in dataset.categories
                ],
                "images": [_image_record(image) for image in dataset.images],
                "annotations": (
                    {str(record["id"]): record for record in annotations} if keyed else annotations
                ),
            },
            default=_plain,
        ),
    )


def write_coco_results(path: str | Path, dataset: CocoDataset) -> None:
    """Write the objects as a COCO results list, the form in which predictions are submitted.

    Parameters
    ----------
    path
        The JSON file to make or replace, atomically.
    dataset
        Predictions. Most tools compare by the ids of images and categories, which must then be
        those of the truth; `read_coco_results` goes by the names that are written besides.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    keys = ("image_id", "category_id", "segmentation", "bbox", "score")
    kinds = {category.id: category for category in dataset.categories}
    results = [
        {key: record[key] for key in keys} | names_in_result(image, kinds[record["category_id"]])
        for image in dataset.images
        for record, _ in _objects(dataset, image)
    ]
    write_text(path, json.dumps(results, default=_plain))


def _objects(
    dataset: CocoDataset, image: CocoImage, shape: Shape = "rle"
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each object's record without its id, and the id its column suggests."""
    instances = dataset.instances[image.id]
    boxes = instances.boxes.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    columns = {name: _listed(column) for name, column in instances.columns.items()}
    numbers = columns.pop("annotation_id", [None] * len(instances))
    crowd = columns.pop("iscrowd", [0] * len(instances))
    rows = zip(
        instances.categories.tolist(),
        _segmentations(instances, shape),
        instances.masks.area().tolist(),
        np.round(boxes, 3).tolist(),
        crowd,
        _listed(instances.scores),
        numbers,
        strict=True,
    )
    for i, (category, code, area, box, is_crowd, score, number) in enumerate(rows):
        record = {
            "id": 0,
            "image_id": image.id,
            "category_id": dataset.categories[category].id,
            "segmentation": code,
            "area": area,
            "bbox": box,
            "iscrowd": is_crowd,
            "score": score,
        }
        extra = {name: values[i] for name, values in columns.items() if name not in record}
        yield record | extra, number


def _segmentations(instances: Instances, shape: Shape) -> list[Any]:
    codes: list[Any] = list(instances.masks.to_rle())
    if shape == "polygons":
        for i, rings in enumerate(rings_of(instances.masks)):
            if rings and all(ring_area(ring) > 0 for ring in rings):
                codes[i] = [ring.ravel().tolist() for ring in rings]
    return codes


def _ids_are_usable(dataset: CocoDataset) -> bool:
    columns = [_annotation_ids(dataset.instances[image.id]) for image in dataset.images]
    if any(column is None for column in columns):
        return False
    ids = np.concatenate([c for c in columns if c is not None and len(c)] or [np.zeros(0)])
    return len(np.unique(ids)) == len(ids)


def _annotation_ids(instances: Instances) -> Any:
    column = instances.columns.get("annotation_id")
    if column is None or column.dtype.kind not in "ui":
        return np.zeros(0, np.int64) if not len(instances) else None
    return column


def _listed(column: Any) -> list[Any]:
    # float32 written with the digits it has: 0.9, not 0.8999999761581421.
    if column.dtype == np.float32:
        return [float(str(value)) for value in column]
    return list(column.tolist())


def _image_record(image: CocoImage) -> dict[str, Any]:
    record = {
        "id": image.id,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
    }
    return record | {key: value for key, value in image.extra.items() if key not in record}


def _info(dataset: CocoDataset) -> dict[str, Any]:
    from napari_sartorius import __version__

    return {"software": f"napari-sartorius {__version__}"} | dataset.info


def _plain(value: Any) -> Any:
    """Write numpy scalars and arrays inside provenance and extras as plain JSON."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)
