"""The present state of one image's objects: a label image, a row for each, and what was stored.

A label image cannot hold overlapping objects but COCO can. Objects whose pixels nobody touched keep
the masks that they came with, overlaps included; only those that an edit changed take theirs from
the label image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.label_room import dtype_with_room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.io.project.edit import LabelEdit, Row


class AnnotatedPlane:
    """Objects of one image, ready to be edited.

    Parameters
    ----------
    masks
        As stored; they may overlap, the earlier one is on top then.
    labels
        (N,) label value of each, from 1 on, no two alike.
    rows
        What is known of each.
    numbers
        Annotation id of each, or None where it has none that could be kept.

    Attributes
    ----------
    values
        (H, W) unsigned label image, 0 is background. Change it through `apply` only.
    rows
        Row of every object by label value.
    numbers
        Annotation ids by label value, of objects that were stored once.
    """

    def __init__(
        self,
        masks: CropMasks,
        labels: Sequence[int],
        rows: Sequence[Row],
        numbers: Sequence[int | None],
    ) -> None:
        ids = np.asarray(labels, np.int64)
        kind = dtype_with_room(int(ids.max(initial=0)))
        self.values: NDArray[Any] = masks.to_labels(ids, dtype=kind)
        self.rows: dict[int, Row] = {
            int(label): dict(row) for label, row in zip(labels, rows, strict=True)
        }
        self.numbers: dict[int, int] = {
            int(label): number
            for label, number in zip(labels, numbers, strict=True)
            if isinstance(number, int)
        }
        self._stored = masks
        self._stored_labels = [int(label) for label in labels]

    def count(self) -> int:
        """Number of objects that the label image shows."""
        return int(np.count_nonzero(np.bincount(self.values.ravel(), minlength=1)[1:]))

    def next_label(self) -> int:
        """A label value that no object has or had."""
        highest = max([0, *self.rows, *self._stored_labels, int(self.values.max(initial=0))])
        return highest + 1

    def check(self, edit: LabelEdit) -> None:
        """Refuse an edit that cannot be made: ValueError when its box is not inside the image."""
        if edit.box[2] > self.values.shape[0] or edit.box[3] > self.values.shape[1]:
            raise ValueError(f"the box {edit.box} is outside an image of {self.values.shape}")

    def apply(self, edit: LabelEdit) -> None:
        """Make an edit; errors as `check`."""
        self.check(edit)
        top, left, bottom, right = edit.box
        if edit.values.size:
            largest = int(edit.values.max())
            if largest > np.iinfo(self.values.dtype).max:
                self.values = self.values.astype(np.uint32)
            self.values[top:bottom, left:right] = edit.values
        for label, row in edit.rows.items():
            if row is None:
                self.rows.pop(label, None)
            else:
                self.rows[label] = dict(row)

    def objects(self) -> tuple[list[int], CropMasks, list[Row]]:
        """Label values, masks and rows of all objects, stored ones first, then by label value.

        A label that was painted without a row gets an empty one.
        """
        touched = self._touched()
        kept = [i for i, label in enumerate(self._stored_labels) if label not in touched]
        labels = [self._stored_labels[i] for i in kept]
        masks = self._stored[kept]
        if touched:
            painted, ids = CropMasks.from_labels(self.values)
            fresh = np.flatnonzero(np.isin(ids, sorted(touched)))
            masks = CropMasks.concatenate([masks, painted[fresh]])
            labels += ids[fresh].tolist()
        return labels, masks, [dict(self.rows.get(label, {})) for label in labels]

    def flattened(self) -> list[int]:
        """Label values of untouched objects of which the label image shows only a part."""
        touched = self._touched()
        shown = np.bincount(self._as_stored().ravel(), minlength=1)
        return [
            label
            for label, area in zip(self._stored_labels, self._stored.area().tolist(), strict=True)
            if label not in touched and (label >= len(shown) or shown[label] < area)
        ]

    def _as_stored(self) -> NDArray[Any]:
        return self._stored.to_labels(np.array(self._stored_labels, np.int64), dtype=np.uint32)

    def _touched(self) -> set[int]:
        """Labels whose pixels in the label image are not those that were stored.

        Found by comparing, not by watching edits: what an undo brought back is untouched again.
        """
        before = self._as_stored()
        changed = before != self.values
        labels = {*np.unique(before[changed]).tolist(), *np.unique(self.values[changed]).tolist()}
        return labels - {0}
