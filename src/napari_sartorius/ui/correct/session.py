"""Correcting the objects of one label layer: every tool is one method and one undo step.

All tools think in pixels first (`core.edits`, `postprocess.edits`), write through napari's own
history, and let the table follow, in one way for a tool, a brush, an undo and a redo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core import edits
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.ui.correct.edited_layer import EditedLayer
from napari_sartorius.ui.correct.origins import EDITED, MODEL, PROMPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.edits import BoxIndex, Patch
    from napari_sartorius.postprocess.edits import Split
    from napari_sartorius.ui.correct.object_rows import Row
    from napari_sartorius.ui.correct.pixel_steps import Plane


class CorrectionSession(EditedLayer):
    """The tools on one layer; see `EditedLayer` for its parameters."""

    def delete(self, labels: Sequence[int]) -> bool:
        """Remove objects, in all planes that they are in."""
        self._need(labels, 1, "delete")
        return self._everywhere(f"deleted {plural(len(labels), 'cell')}", dict.fromkeys(labels, 0))

    def merge(self, labels: Sequence[int]) -> bool:
        """Make objects one; the largest gives it its label and its row."""
        self._need(labels, 2, "merge")
        into = max(labels, key=lambda label: (self.rows.area(label), -label))
        changes = {label: into for label in labels if label != into}
        return self._everywhere(f"merged {plural(len(labels), 'cell')} into {into}", changes)

    def set_category(self, labels: Sequence[int], category: str) -> bool:
        """Give objects a category; each gets a new label, because labels keep their meaning."""
        self._need(labels, 1, "give a category")
        self.rows.complete_columns()
        now = self.rows.values(labels, "category")
        labels = [one for one, name in zip(labels, now, strict=True) if name != category]
        if not labels:
            self.said.emit(f"Already {category}.")
            return False
        first = self._free_labels(len(labels))
        changes = {label: first + n for n, label in enumerate(labels)}
        rows = self._edited_rows(labels)
        for new, row in zip(changes.values(), rows, strict=True):
            self.rows.stage(new, row | {"category": category})
        which = str(labels[0]) if len(labels) == 1 else plural(len(labels), "cell")
        return self._everywhere(f"made {which} {category}", changes)

    def accept(self, labels: Sequence[int], accepted: bool = True) -> bool:
        """Mark objects as looked at, or as not looked at."""
        self._need(labels, 1, "accept")
        self.rows.complete_columns()
        before = self.rows.values(labels, "reviewed")
        changed = [
            label for label, old in zip(labels, before, strict=True) if bool(old) is not accepted
        ]
        if not changed:
            self.said.emit("Already accepted." if accepted else "Not accepted before, either.")
            return False
        text = f"{'accepted' if accepted else 'took back'} {plural(len(changed), 'cell')}"
        self.change_values(text, changed, "reviewed", accepted)
        return True

    def grow(self, labels: Sequence[int]) -> bool:
        """Add one pixel around objects, where there is background."""
        return self._reshape(labels, "grew", edits.grow, "no background around")

    def shrink(self, labels: Sequence[int]) -> bool:
        """Take one pixel away around objects."""
        return self._reshape(labels, "shrank", edits.shrink, "nothing would be left of")

    def fill_holes(self, labels: Sequence[int]) -> bool:
        """Fill the holes of objects."""
        from napari_sartorius.postprocess.edits import fill_object_holes

        return self._reshape(labels, "filled the holes of", fill_object_holes, "no holes in")

    def smooth(self, labels: Sequence[int]) -> bool:
        """Smooth the outline of objects; their area stays."""
        from napari_sartorius.postprocess.edits import smooth

        return self._reshape(labels, "smoothed", smooth, "nothing to smooth on")

    def split_by_seeds(self, labels: Sequence[int]) -> bool:
        """Part objects at their waists."""
        from napari_sartorius.postprocess.edits import split_by_seeds

        image, boxes = self._image()
        labels = self._shown(labels, "split")
        split = split_by_seeds(image, boxes, labels, self.next_label)
        return self._split(split, "No waist found: draw a line through the cell instead.")

    def split_by_line(self, points: NDArray[Any], labels: Iterable[int] = ()) -> bool:
        """Part the objects that a line (N, 2) of (y, x) crosses; only `labels` if it crosses any.

        `points` are in data coordinates of the plane.
        """
        from napari_sartorius.postprocess.edits import split_by_line

        image, boxes = self._image()
        first = self.next_label
        split = split_by_line(image, boxes, points, first, labels)
        if not split.pieces:
            split = split_by_line(image, boxes, points, first)
        return self._split(split, "The line divides no cell: begin and end it outside the cell.")

    def cut_hole(self, points: NDArray[Any], labels: Sequence[int] = ()) -> bool:
        """Cut a drawn area out of objects: of `labels`, or of the one it covers most."""
        image, _ = self._image()
        mask, corner = self._area(points, image)
        window = image[corner[0] :, corner[1] :][: mask.shape[0], : mask.shape[1]]
        counts = np.bincount(window[mask])
        counts[:1] = 0
        under = [label for label in labels if label < len(counts) and counts[label]]
        if not under and counts.any():
            under = [int(np.argmax(counts))]
        if not under:
            self.said.emit("There is no cell under that outline.")
            return False
        which = str(under[0]) if len(under) == 1 else plural(len(under), "cell")
        return self._here(f"cut a hole into {which}", edits.carve(image, mask, corner, under))

    def draw(self, points: NDArray[Any], category: str | None = None) -> int:
        """Fill a drawn outline as a new object and return its label, 0 when nothing was free."""
        image, _ = self._image()
        mask, corner = self._area(points, image)
        label = self.next_label
        patch = edits.draw(image, mask, corner, label, self.overwrite)
        if not len(patch):
            self.said.emit("Nothing drawn: other cells cover that place.")
            return 0
        name = self.rows.default_category if category is None else category
        self.rows.stage(label, self.rows.fresh_row(label) | {"category": name})
        self._here(f"drew cell {label}", patch)
        return label

    def add_found(
        self,
        plane: Plane,
        mask: NDArray[np.bool_],
        corner: tuple[int, int],
        values: Row,
        text: str,
        at: tuple[float, float] | None = None,
    ) -> int:
        """Add an object that a model drew and return its label; raises where nothing is free.

        Parameters
        ----------
        plane : tuple of int
            Where; it need not be the plane shown any more.
        mask, corner : (h, w) bool, (y, x)
            Its pixels. Of those that are free only the piece at `at`, else the largest, is kept.
        values : dict
            Columns of its row.
        text : str
            For the status line.
        at : (y, x), optional
            In pixel edges.
        """
        from napari_sartorius.postprocess.edits import one_piece

        image, label = self.layer.data[plane], self.next_label
        patch = edits.draw(image, mask, corner, label, self.overwrite)
        patch = one_piece(patch, at)
        if not len(patch):
            raise UserError("Nothing added: other cells cover that place.")
        self.rows.stage(label, self._prompted_row(self.rows.fresh_row(label), values))
        self._write(f"added cell {label} {text}", [(plane, patch)])
        return label

    def replace_by_found(
        self,
        plane: Plane,
        label: int,
        mask: NDArray[np.bool_],
        corner: tuple[int, int],
        values: Row,
        verb: str,
        text: str,
    ) -> int:
        """Give an object the pixels that a model drew, and a new label; 0 when nothing changes.

        The new label has the old row with other `values`, so that undo brings the old ones back.
        See `add_found` for the parameters.
        """
        if not any(label in boxes for boxes in self.rows.boxes.values()):
            raise UserError(f"Cell {label} is gone: select another one.")
        image, new = self.layer.data[plane], self.next_label
        patch, overlap = edits.exchange(
            image, self.rows.boxes[plane], label, new, mask, corner, self.overwrite
        )
        if not len(patch):
            raise UserError(f"Cell {label} stays as it is: other cells cover what the model sees.")
        if overlap == 1.0:
            self.said.emit(f"The model sees cell {label} just as it is.")
            return 0
        (row,) = self.rows.rows([label])
        elsewhere = [
            (other, edits.relabel(self.layer.data[other], boxes, {label: new}))
            for other, boxes in self.rows.boxes.items()
            if other != plane and label in boxes
        ]
        self.rows.stage(new, self._prompted_row(row, values) | {"reviewed": False})
        text = f"{verb} cell {label}, now {new} {text}; IoU with before {overlap:.2f}"
        self._write(text, [(plane, patch), *elsewhere])
        return new

    def _prompted_row(self, row: Row, values: Row) -> Row:
        """Return a row with values of a model, for which the table gets the columns it lacks."""
        for name in values:
            self.rows.ensure_column(name)
        return row | values | {"source": PROMPTED}

    def _reshape(
        self,
        labels: Sequence[int],
        verb: str,
        tool: Callable[[NDArray[Any], BoxIndex, Sequence[int]], Patch],
        nothing: str,
    ) -> bool:
        image, boxes = self._image()
        labels = self._shown(labels, "change")
        which = str(labels[0]) if len(labels) == 1 else plural(len(labels), "cell")
        if self._here(f"{verb} {which}", tool(image, boxes, labels)):
            return True
        self.said.emit(f"Nothing changed: {nothing} {which}.")
        return False

    def _split(self, split: Split, nothing: str) -> bool:
        if not split.pieces:
            self.said.emit(nothing)
            return False
        count = sum(map(len, split.pieces.values()))
        self._free_labels(count)
        rows = self._edited_rows(split.pieces)
        for row, pieces in zip(rows, split.pieces.values(), strict=True):
            for label in pieces:
                self.rows.stage(label, row)
        parents = list(split.pieces)
        which = str(parents[0]) if len(parents) == 1 else plural(len(parents), "cell")
        return self._here(f"split {which} into {count + len(parents)}", split.patch)

    def _edited_rows(self, labels: Iterable[int]) -> list[Row]:
        """Return rows for new objects that were made of others."""
        rows = self.rows.rows(labels)
        return [row | ({"source": EDITED} if row["source"] == MODEL else {}) for row in rows]

    def _area(
        self, points: NDArray[Any], image: NDArray[Any]
    ) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        from napari_sartorius.postprocess.edits import polygon_mask

        return polygon_mask(points, (image.shape[0], image.shape[1]))

    def _need(self, labels: Sequence[int], count: int, verb: str) -> None:
        if len(labels) < count:
            what = "a cell" if count == 1 else "two cells or more"
            raise UserError(f"Select {what} to {verb}: click them, with Shift to add one.")

    def _shown(self, labels: Sequence[int], verb: str) -> list[int]:
        """Return those of `labels` that are in the plane shown."""
        self._need(labels, 1, verb)
        shown = [label for label in labels if label in self.rows.boxes[self.plane]]
        if not shown:
            raise UserError("The selected cells are not in this slice.")
        return shown
