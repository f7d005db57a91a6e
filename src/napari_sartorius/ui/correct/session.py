"""Correcting the objects of one label layer: every tool is one method and one undo step.

All tools think in pixels first (`core.edits`, `postprocess.edits`), write through napari's own
history, and let the table follow, in one way for a tool, a brush, an undo and a redo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sartorius.core import edits
from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.correct.object_rows import Kept, ObjectRows, Row
from napari_sartorius.ui.correct.origins import EDITED, MODEL
from napari_sartorius.ui.correct.pixel_watch import PixelWatch
from napari_sartorius.ui.correct.steps import PixelEntry, StepLog, TableStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_sartorius.core.edits import BoxIndex, Patch
    from napari_sartorius.postprocess.edits import Split
    from napari_sartorius.ui.correct.pixel_watch import Direction, PixelStep, Plane

UNDO_HINT = "Ctrl+Z undoes"
_PAINTED = "painted"
_PAUSE_MS = 500


def why_not_correctable(layer: Layer) -> str | None:
    """Return one sentence saying why the objects of a layer cannot be corrected, or None."""
    if layer.multiscale:
        return f"{layer.name} has several resolutions: correct a copy of the finest one."
    if not isinstance(layer.data, np.ndarray) or not layer.data.flags.writeable:
        return f"{layer.name} is not in memory: duplicate the layer and correct the copy."
    if layer.data.ndim < 2:
        return f"{layer.name} has fewer than two axes: expected labels of (..., Y, X)."
    return None


def cells(count: int) -> str:
    """Return a number of cells in words."""
    return f"{count:,} cell" if count == 1 else f"{count:,} cells"


class CorrectionSession(QObject):
    """The tools, the table and the undo order of one layer.

    Parameters
    ----------
    layer : Labels
        One for which `why_not_correctable` gives None.
    plane_now : callable
        Returns the plane that is shown, or None while that is not one plane (Y, X).
    """

    said = Signal(str)
    """What was just done, in one sentence."""

    stepped = Signal(object, str)
    """A `PixelStep` or `TableStep` and ``edit``, ``undo`` or ``redo``: all that a journal needs."""

    def __init__(
        self,
        layer: Labels,
        plane_now: Callable[[], Plane | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.layer = layer
        self.overwrite = False
        self._plane_now = plane_now
        self._doing = ""
        self._log = StepLog()
        self.rows = ObjectRows(layer)
        self._watch = PixelWatch(layer, plane_now, self._on_step, self._on_unknown)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._watch.verify)
        layer.events.set_data.connect(self._on_drawn)

    def stop(self) -> None:
        """Follow the layer no more."""
        self._pause.stop()
        self.layer.events.set_data.disconnect(self._on_drawn)
        self._watch.stop()

    # ---- what there is ----------------------------------------------------------------------

    @property
    def plane(self) -> Plane:
        """The plane that tools act on; raises `UserError` while none is shown."""
        plane = self._plane_now()
        if plane is None:
            raise UserError("Show the image in 2D, with Y and X as its axes, to correct it.")
        return plane

    @property
    def next_label(self) -> int:
        """The first label that was never used.

        Raises
        ------
        UserError
            When the layer's type cannot hold it.
        """
        return self._free_labels(1)

    def label_at(self, position: tuple[float, float]) -> int:
        """Return the object at (y, x) in data coordinates of the plane shown, 0 for none."""
        image = self.layer.data[self.plane]
        y, x = (int(np.floor(at + 0.5)) for at in position)
        inside = 0 <= y < image.shape[0] and 0 <= x < image.shape[1]
        return int(image[y, x]) if inside else 0

    def has_been(self, label: int) -> bool:
        """Whether a label was used and is gone, so that it must not be painted with."""
        return self.rows.is_retired(label)

    # ---- whole objects ----------------------------------------------------------------------

    def delete(self, labels: Sequence[int]) -> bool:
        """Remove objects, in all planes that they are in."""
        self._need(labels, 1, "delete")
        return self._everywhere(f"deleted {cells(len(labels))}", dict.fromkeys(labels, 0))

    def merge(self, labels: Sequence[int]) -> bool:
        """Make objects one; the largest gives it its label and its row."""
        self._need(labels, 2, "merge")
        into = max(labels, key=lambda label: (self.rows.area(label), -label))
        changes = {label: into for label in labels if label != into}
        return self._everywhere(f"merged {cells(len(labels))} into {into}", changes)

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
        which = str(labels[0]) if len(labels) == 1 else cells(len(labels))
        return self._everywhere(f"made {which} {category}", changes)

    def accept(self, labels: Sequence[int], accepted: bool = True) -> bool:
        """Mark objects as looked at, or as not looked at."""
        self._need(labels, 1, "accept")
        self.rows.complete_columns()
        before = self.rows.values(labels, "reviewed")
        changed = [
            (label, old)
            for label, old in zip(labels, before, strict=True)
            if bool(old) is not accepted
        ]
        if not changed:
            self.said.emit("Already accepted." if accepted else "Not accepted before, either.")
            return False
        text = f"{'accepted' if accepted else 'took back'} {cells(len(changed))}"
        step = TableStep(
            text,
            "reviewed",
            [label for label, _ in changed],
            [old for _, old in changed],
            [accepted] * len(changed),
        )
        self.rows.set_values(step.labels, step.column, step.after)
        self._log.add(step)
        self.said.emit(f"{_sentence(text)}; {UNDO_HINT}.")
        self.stepped.emit(step, "edit")
        return True

    # ---- outlines ---------------------------------------------------------------------------

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
        which = str(under[0]) if len(under) == 1 else cells(len(under))
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

    # ---- undo -------------------------------------------------------------------------------

    def undo(self, event: object = None) -> None:
        """Take back the latest step, in pixels or in the table."""
        self._turn_back("undo")

    def redo(self, event: object = None) -> None:
        """Do the latest step again that was taken back."""
        self._turn_back("redo")

    def _turn_back(self, how: Direction) -> None:
        self._watch.look()
        source = self._log.done if how == "undo" else self._log.undone
        if not source:
            self.said.emit(f"Nothing to {how}.")
            return
        entry = source[-1]
        if isinstance(entry, TableStep):
            source.pop()
            (self._log.undone if how == "undo" else self._log.done).append(entry)
            values = entry.before if how == "undo" else entry.after
            self.rows.set_values(entry.labels, entry.column, values)
            self.said.emit(_turned_back_text(how, entry.text))
            self.stepped.emit(entry, how)
            return
        count = len(source)
        self._watch.expected = how
        try:
            self.layer.undo() if how == "undo" else self.layer.redo()
            self._watch.look()  # a hidden layer is not drawn, and tells nothing
        finally:
            self._watch.expected = None
        if len(source) == count:
            self._log.clear()
            self.said.emit(f"Nothing more to {how}: napari keeps 100 steps.")

    # ---- the way of every change ------------------------------------------------------------

    def _on_step(self, step: PixelStep, how: Direction) -> None:
        """Let the table follow; the one place through which every change of pixels comes."""
        if how == "edit":
            step.memory = self._displace_reused(step)
        elif how == "redo":
            step.memory = self.rows.swap_kept(step.memory)
        undone = how == "undo"
        self.rows.follow([one.turned_back() if undone else one for one in step.changes])
        if undone:  # only now the rows of what was undone are kept aside, too
            step.memory = self.rows.swap_kept(step.memory)
        if how == "edit":
            self._log.add(PixelEntry(self._doing or _PAINTED))
            text = f"{_sentence(self._doing or _PAINTED)}; {UNDO_HINT}."
        else:
            text = _turned_back_text(how, self._log.move_pixels(how))
        self.said.emit(text)
        self.stepped.emit(step, how)

    def _displace_reused(self, step: PixelStep) -> dict[int, Kept]:
        """Give labels that a brush brings back the row of a new object, and keep the old row."""
        if self._doing:
            return {}
        came = {int(label) for one in step.changes for label in np.unique(one.after)}
        reused = [label for label in came - {0} if self.has_been(label)]
        return self.rows.swap_kept({label: Kept(self.rows.fresh_row(label)) for label in reused})

    def _on_drawn(self, event: object = None) -> None:
        self._pause.start()

    def _on_unknown(self) -> None:
        self._log.clear()
        self.rows.reload()

    def _everywhere(self, text: str, changes: dict[int, int]) -> bool:
        """Relabel whole objects in every plane that they are in."""
        patches = [
            (plane, edits.relabel(self.layer.data[plane], boxes, changes))
            for plane, boxes in self.rows.boxes.items()
            if any(label in boxes for label in changes)
        ]
        return self._write(text, patches)

    def _here(self, text: str, patch: Patch) -> bool:
        return self._write(text, [(self.plane, patch)])

    def _write(self, text: str, patches: list[tuple[Plane, Patch]]) -> bool:
        self._watch.look()
        self._doing = text
        try:
            return self._watch.write(patches)
        finally:
            self._doing = ""

    def _reshape(
        self,
        labels: Sequence[int],
        verb: str,
        tool: Callable[[NDArray[Any], BoxIndex, Sequence[int]], Patch],
        nothing: str,
    ) -> bool:
        image, boxes = self._image()
        labels = self._shown(labels, "change")
        which = str(labels[0]) if len(labels) == 1 else cells(len(labels))
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
        which = str(parents[0]) if len(parents) == 1 else cells(len(parents))
        return self._here(f"split {which} into {count + len(parents)}", split.patch)

    def _edited_rows(self, labels: Iterable[int]) -> list[Row]:
        """Return rows for new objects that were made of others."""
        rows = self.rows.rows(labels)
        return [row | ({"source": EDITED} if row["source"] == MODEL else {}) for row in rows]

    def _image(self) -> tuple[NDArray[Any], BoxIndex]:
        return self.layer.data[self.plane], self.rows.boxes[self.plane]

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

    def _free_labels(self, count: int) -> int:
        """Return the first of `count` labels that were never used."""
        first = self.rows.highest + 1
        if first + count - 1 > np.iinfo(self.layer.data.dtype).max:
            raise UserError(
                f"The labels of {self.layer.name} are used up ({self.layer.data.dtype}): convert "
                "the layer with a right click on it, 'Convert data type', to uint32."
            )
        return first


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _turned_back_text(how: Direction, text: str) -> str:
    return f"Undone: {text}; Ctrl+Shift+Z does it again." if how == "undo" else f"Redone: {text}."
