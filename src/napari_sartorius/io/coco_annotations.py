"""Annotations of a COCO file as the objects of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.io.coco_records import need
from napari_sartorius.io.coco_segmentation import decode_segmentations

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.core.categories import Category
    from napari_sartorius.io.coco_dataset import CocoImage, ImageId

_ANNOTATION_KEYS = frozenset(
    {"id", "image_id", "category_id", "segmentation", "bbox", "area", "score", "iscrowd"}
)


def instances_of(
    annotations: list[dict[str, Any]],
    images: list[CocoImage],
    categories: list[Category],
    path: Path,
) -> dict[ImageId, Instances]:
    """Objects of each image by its id, in the file's order.

    Raises
    ------
    UserError
        Naming the first annotation that lacks a key, points nowhere, or has a damaged mask or box.
    """
    if annotations and not any(record.get("segmentation") for record in annotations):
        raise UserError(
            f"{path} has boxes but no outlines, and this program works with outlines of cells: "
            "export it with polygons or masks."
        )
    grouped: dict[ImageId, list[tuple[ImageId, dict[str, Any]]]] = {i.id: [] for i in images}
    position = {category.id: n for n, category in enumerate(categories)}
    for number, record in enumerate(annotations, start=1):
        name = record.get("id", number)
        need(record, ("image_id", "category_id"), f"annotation {name}", path)
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
    masks = decode_segmentations([r.get("segmentation") for r in records], names, size)
    columns: dict[str, NDArray[Any]] = {"annotation_id": np.array([n for n, _ in named])}
    if not records:
        columns["annotation_id"] = np.zeros(0, np.int64)
    if any(record.get("iscrowd") for record in records):
        columns["iscrowd"] = np.array([int(bool(r.get("iscrowd"))) for r in records])
    try:
        given = [r.get("score") for r in records]
        scores = np.array([1.0 if score is None else float(score) for score in given], np.float32)
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
        if (box := record.get("bbox")) is None or box == []:
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
                f"are not negative, inside its {size[1]} x {size[0]} image; correct it, or let "
                "`data check --fix` remove 'bbox', which is taken from the mask then."
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
