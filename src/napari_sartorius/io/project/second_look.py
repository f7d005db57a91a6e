"""What another model thinks of the objects of an image: hints for a person only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.edits import Box
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.project.edit import LabelEdit, Row
from napari_sartorius.io.project.model_run import is_corrected

if TYPE_CHECKING:
    from napari_sartorius.core.instances import Instances
    from napari_sartorius.io.coco_dataset import ImageId
    from napari_sartorius.io.project.plane import AnnotatedPlane

_SAME_IOU = 0.5  # from which on two masks show the same cell
_COVERED = 0.3  # share of a mask on labelled pixels, above which it shows no unlabelled cell


@dataclass(frozen=True, eq=False)
class SecondLook:
    """The outcome.

    Attributes
    ----------
    edit
        Columns of rows that change; None when nobody waits to be judged.
    compared
        Number of objects that nobody has corrected.
    unseen
        How many of these the other model does not see, or sees as something else.
    places
        Box and score of what it sees where there is no label.
    """

    edit: LabelEdit | None = None
    compared: int = 0
    unseen: int = 0
    places: list[tuple[Box, float]] = field(default_factory=list)


def look_again(plane: AnnotatedPlane, image: ImageId, found: Instances) -> SecondLook:
    """Compare what another model finds in an image with the objects that it has.

    Objects that nobody corrected get two columns, by which the review judges them: ``agreement``,
    the mean of what it was (1 where nothing was known) and of whether the other model sees the
    object, and ``mask_agreement``, the IoU of both masks. No pixel, category or score changes.

    Parameters
    ----------
    plane
        Present state.
    image
        Id of its record.
    found
        What the other model found.

    Raises
    ------
    ValueError
        When the image sizes differ.
    """
    if found.image_size != plane.values.shape:
        raise ValueError(f"found on {found.image_size}, the image is {plane.values.shape}")
    masks, labels = CropMasks.from_labels(plane.values)
    best = np.zeros(len(labels), np.float32)
    mine, theirs, shared = masks.overlaps(found.masks)
    own, other = masks.area(), found.masks.area()
    np.maximum.at(best, mine, shared / np.maximum(own[mine] + other[theirs] - shared, 1))
    rows: dict[int, Row | None] = {}
    unseen = 0
    for label, iou in zip(labels.tolist(), best.tolist(), strict=True):
        row = plane.rows.get(label, {})
        if is_corrected(row):
            continue
        seen = iou >= _SAME_IOU
        unseen += not seen
        before = row.get("agreement")
        agreement = ((1.0 if before is None else float(before)) + seen) / 2
        changed = dict(row) | {"agreement": round(agreement, 4)}
        if seen:
            changed["mask_agreement"] = round(iou, 4)
        rows[label] = changed
    covered = np.zeros(len(found), np.int64)
    np.add.at(covered, theirs, shared)
    free = np.flatnonzero((other > 0) & (covered <= _COVERED * other))
    places: list[tuple[Box, float]] = []
    for i in free.tolist():
        x0, y0, x1, y1 = (int(edge) for edge in found.masks.boxes[i])
        places.append(((y0, x0, y1, x1), float(found.scores[i])))
    return SecondLook(LabelEdit(image, rows=rows) if rows else None, len(rows), unseen, places)
