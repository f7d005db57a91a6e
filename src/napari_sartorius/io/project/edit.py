"""One correction of one image, complete enough to be made again after a crash.

An edit says what is true afterwards, not what was done: the label values of a rectangle and the
rows of the objects that changed. Undo and redo are edits like any other, and making an edit twice
does no harm.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.io.coco_dataset import ImageId

if TYPE_CHECKING:
    from collections.abc import Mapping

Row: TypeAlias = dict[str, Any]
"""What is known of one object besides its pixels, as plain JSON values: category, score, source."""

_STORED = np.dtype("<u4")


@dataclass(frozen=True, eq=False)
class LabelEdit:
    """What an image looks like after an edit, where it changed.

    Attributes
    ----------
    image
        Id of the image's record.
    box
        Top, left, bottom, right of the rectangle that holds all changed pixels; bottom and right
        are not part of it. Empty for an edit of rows alone.
    values
        (bottom - top, right - left) label values after the edit, 0 is background.
    rows
        By label value: the object's row after the edit, or None when it is gone.
    """

    image: ImageId
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    values: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 0), np.uint32))
    rows: dict[int, Row | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        top, left, bottom, right = self.box
        if self.values.shape != (bottom - top, right - left) or min(top, left) < 0:
            raise ValueError(f"values of shape {self.values.shape} do not fill the box {self.box}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; label values are compressed."""
        packed = zlib.compress(np.ascontiguousarray(self.values, _STORED).tobytes(), 1)
        return {
            "image": self.image,
            "box": [int(edge) for edge in self.box],
            "values": base64.b64encode(packed).decode("ascii"),
            "rows": {str(label): row for label, row in self.rows.items()},
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> LabelEdit:
        """The edit that `to_json` wrote.

        Raises
        ------
        ValueError
            When the record is not such an edit.
        """
        try:
            top, left, bottom, right = (int(edge) for edge in record["box"])
            data = zlib.decompress(base64.b64decode(record["values"], validate=True))
            values = np.frombuffer(data, _STORED).reshape(bottom - top, right - left)
            rows = {int(label): row for label, row in record["rows"].items()}
            return cls(record["image"], (top, left, bottom, right), values, rows)
        except (KeyError, TypeError, AttributeError, zlib.error, binascii.Error) as error:
            raise ValueError(f"not an edit ({error})") from error


def edit_between(
    image: ImageId,
    before: NDArray[Any],
    after: NDArray[Any],
    rows: dict[int, Row | None] | None = None,
    window: tuple[int, int, int, int] | None = None,
) -> LabelEdit | None:
    """The edit that turns one label image into another; None when nothing changed.

    Parameters
    ----------
    image
        Id of the image's record.
    before, after
        (H, W) label values.
    rows
        Rows that changed.
    window
        Top, left, bottom, right outside of which nothing changed, when that is known.
    """
    top, left, bottom, right = window or (0, 0, *before.shape)
    changed = before[top:bottom, left:right] != after[top:bottom, left:right]
    lines = np.flatnonzero(changed.any(axis=1))
    if not len(lines):
        return LabelEdit(image, rows=dict(rows)) if rows else None
    places = np.flatnonzero(changed[lines[0] : lines[-1] + 1].any(axis=0))
    box = (
        top + int(lines[0]),
        left + int(places[0]),
        top + int(lines[-1]) + 1,
        left + int(places[-1]) + 1,
    )
    return LabelEdit(image, box, after[box[0] : box[2], box[1] : box[3]].copy(), dict(rows or {}))
