"""What a new segmentation adds to an image on which people have worked: never at their expense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sartorius.io.project.edit import LabelEdit, Row, edit_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.io.coco_dataset import ImageId
    from napari_sartorius.io.project.plane import AnnotatedPlane

Keep = Literal["corrected", "all"]
"""Which present objects stay: those that a person drew, changed or accepted, or all."""

# A found object that lies on present ones with more than this share of its area is one of them.
_SAME = 0.5


def is_corrected(row: Row) -> bool:
    """Whether a person drew, changed or accepted the object; also when nobody knows."""
    return row.get("source") != "model" or bool(row.get("reviewed"))


def edit_of_run(
    plane: AnnotatedPlane,
    image: ImageId,
    found: Instances,
    category_names: Sequence[str],
    keep: Keep = "corrected",
    first_label: int = 1,
) -> LabelEdit | None:
    """The edit that brings a segmentation into an image; None when it changes nothing.

    Parameters
    ----------
    plane
        Present state.
    image
        Id of its record.
    found
        What the model found; the best score is painted first. Objects that show a cell which stays
        are left out, others get the pixels that are free.
    category_names
        By category index of `found`.
    keep
        Which present objects stay.
    first_label
        New label values are not below this one; other planes of the same stack may have those.

    Raises
    ------
    ValueError
        When the image sizes differ.
    """
    if found.image_size != plane.values.shape:
        raise ValueError(f"found on {found.image_size}, the image is {plane.values.shape}")
    after = plane.values.astype(np.uint32)
    rows: dict[int, Row | None] = {}
    if keep == "corrected":
        gone = [label for label, row in plane.rows.items() if not is_corrected(row)]
        after[np.isin(after, gone)] = 0
        rows |= dict.fromkeys(gone)
    label = max(plane.next_label(), first_label)
    corners = found.masks.boxes
    for i in np.argsort(-found.scores, kind="stable").tolist():
        x0, y0, x1, y1 = corners[i].tolist()
        window, mask = after[y0:y1, x0:x1], found.masks.bitmap(i)
        free = mask & (window == 0)
        if not free.any() or free.sum() < (1 - _SAME) * mask.sum():
            continue
        window[free] = label
        rows[label] = _row(found, i, category_names)
        label += 1
    return edit_between(image, plane.values, after, rows)


def _row(found: Instances, i: int, category_names: Sequence[str]) -> Row:
    row: Row = {
        "category": category_names[int(found.categories[i])],
        "score": round(float(found.scores[i]), 6),
        "source": "model",
        "reviewed": False,
    }
    return row | {name: _plain(column[i]) for name, column in found.columns.items()}


def _plain(value: NDArray[Any] | np.generic) -> Any:
    return value.item()
