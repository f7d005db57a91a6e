"""Between an image's objects and the annotation records of a project's COCO file.

Every COCO tool reads the records: category, mask, box, area, score. What only this program knows is
under the key ``sartorius`` of a record, where no other program's keys can be in the way.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.io.coco_segmentation import decode_segmentations
from napari_sartorius.io.project.plane import AnnotatedPlane

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_sartorius.io.coco_dataset import ImageId
    from napari_sartorius.io.project.edit import Row

NAMESPACE = "sartorius"

_IN_THE_RECORD = ("category", "score")


def plane_of(
    records: Sequence[dict[str, Any]],
    image_size: tuple[int, int],
    category_names: Mapping[int, str],
    path: Path,
    free_label: int = 1,
) -> AnnotatedPlane:
    """State of an image from its annotation records.

    Parameters
    ----------
    records
        Checked COCO annotations. One that another program wrote gets a label value.
    image_size
        Height and width.
    category_names
        By category id.
    path
        The file, for errors.
    free_label
        From here on label values are free, also in the other planes of the same stack.
    """
    masks = decode_segmentations(
        [record["segmentation"] for record in records],
        [f"{path}: annotation {record.get('id')}" for record in records],
        image_size,
    )
    labels: list[int] = []
    rows: list[Row] = []
    used: set[int] = set()
    free = max([free_label, *(label_of(record) + 1 for record in records)])
    for record in records:
        label = label_of(record)
        if label < 1 or label in used:
            label, free = free, free + 1
        used.add(label)
        labels.append(label)
        extra = record.get(NAMESPACE)
        extra = dict(extra) if isinstance(extra, dict) else {}
        record[NAMESPACE] = extra | {"label": label}
        row: Row = {
            "category": category_names[record["category_id"]],
            "score": float(record.get("score", 1.0)),
        }
        rows.append(row | {key: value for key, value in extra.items() if key != "label"})
    return AnnotatedPlane(masks, labels, rows, [record.get("id") for record in records])


def records_of(
    plane: AnnotatedPlane, image: ImageId, category_ids: Mapping[str, int], free_number: int
) -> list[dict[str, Any]]:
    """Annotation records of an image: COCO's keys, masks as compressed run lengths.

    Parameters
    ----------
    plane
        Its state.
    image
        Id of its record.
    category_ids
        By name; the first one is taken for objects without a category.
    free_number
        First annotation id for objects that have none.
    """
    labels, masks, rows = plane.objects()
    boxes = masks.bounding_boxes().astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    default = next(iter(category_ids))
    records = []
    for label, row, code, area, box in zip(
        labels, rows, masks.to_rle(), masks.area().tolist(), boxes.tolist(), strict=True
    ):
        if label not in plane.numbers:
            plane.numbers[label], free_number = free_number, free_number + 1
        extra = {k: _plain(value) for k, value in row.items() if k not in _IN_THE_RECORD}
        records.append(
            {
                "id": plane.numbers[label],
                "image_id": image,
                "category_id": category_ids[str(row.get("category") or default)],
                "segmentation": code,
                "area": area,
                "bbox": box,
                "iscrowd": 0,
                "score": 1.0 if (score := _plain(row.get("score"))) is None else score,
                NAMESPACE: {"label": label} | extra,
            }
        )
    return records


def _plain(value: Any) -> Any:
    """The value as JSON has it, which knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def label_of(record: Mapping[str, Any]) -> int:
    """Label value of an annotation's object; 0 when another program wrote it."""
    extra = record.get(NAMESPACE)
    label = extra.get("label", 0) if isinstance(extra, dict) else 0
    return label if isinstance(label, int) else 0
