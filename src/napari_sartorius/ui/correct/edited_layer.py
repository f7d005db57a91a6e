"""One label layer whose changes are all followed: writing, the table, undo and redo.

What the tools have in common. Every change of pixels, by a tool, a brush, a script, an undo or a
redo, comes through one place, where the table is brought in step and the world is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_sartorius.core import edits
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import capital
from napari_sartorius.io.layer_table import NO_CELL_KEY
from napari_sartorius.ui.correct.object_rows import Kept, ObjectRows
from napari_sartorius.ui.correct.pixel_watch import PixelWatch
from napari_sartorius.ui.correct.steps import PixelEntry, PlaceStep, StepLog, TableStep
from napari_sartorius.ui.single_shot import single_shot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_sartorius.core.edits import Box, BoxIndex, Patch
    from napari_sartorius.ui.correct.pixel_steps import Direction, PixelStep, Plane

UNDO_HINT = "Ctrl+Z undoes"
_PAINTED = "painted"
_MANY = 5  # cells that come or go at once; more than a stroke of a brush makes
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


class EditedLayer(QObject):
    """The pixels, the table and the undo order of one layer.

    Parameters
    ----------
    layer : Labels
        One for which `why_not_correctable` gives None.
    plane_now : callable
        Returns the plane that is shown, or None while that is not one plane (Y, X).
    """

    said = Signal(str)
    """What was just done, in one sentence."""

    warned = Signal(str)
    """The same, where many cells went away that the user may not have meant."""

    stepped = Signal(object, str)
    """A `PixelStep`, `TableStep` or `PlaceStep`, and ``edit``, ``undo`` or ``redo``: all that a
    journal needs."""

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
        self._pause = single_shot(self, _PAUSE_MS, self._watch.verify)
        layer.events.set_data.connect(self._on_drawn)

    def stop(self) -> None:
        """Follow the layer no more."""
        self._pause.stop()
        self.layer.events.set_data.disconnect(self._on_drawn)
        self._watch.stop()

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

    def change_values(self, text: str, labels: Sequence[int], column: str, value: Any) -> None:
        """Write one value into a column for objects, as a step that can be undone in its turn."""
        before = self.rows.values(labels, column)
        step = TableStep(text, column, list(labels), before, [value] * len(labels))
        self.rows.set_values(step.labels, step.column, step.after)
        self._log.add(step)
        self.said.emit(f"{capital(text)}; {UNDO_HINT}.")
        self.stepped.emit(step, "edit")

    @property
    def no_cells(self) -> list[tuple[Plane, Box]]:
        """Places of which somebody said that there is no cell; they are kept with the layer."""
        kept = self.layer.metadata.get(NO_CELL_KEY, [])
        return [(tuple(one[:-4]), tuple(one[-4:])) for one in kept]

    def say_no_cell(self, plane: Plane, box: Box) -> None:
        """Note that there is no cell at a place, as a step that can be undone in its turn."""
        if (plane, box) in self.no_cells:
            return
        step = PlaceStep("no cell there", plane, box)
        self._note_place(step, True)
        self._log.add(step)
        self.said.emit(f"No cell there; {UNDO_HINT}.")
        self.stepped.emit(step, "edit")

    def _note_place(self, step: PlaceStep, is_empty: bool) -> None:
        place = [*map(int, step.plane), *map(int, step.box)]
        others = [one for one in self.layer.metadata.get(NO_CELL_KEY, []) if list(one) != place]
        self.layer.metadata[NO_CELL_KEY] = [*others, place] if is_empty else others

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
        if not isinstance(entry, PixelEntry):
            source.pop()
            (self._log.undone if how == "undo" else self._log.done).append(entry)
            if isinstance(entry, PlaceStep):
                self._note_place(entry, how == "redo")
            else:
                values = entry.before if how == "undo" else entry.after
                self.rows.set_values(entry.labels, entry.column, values)
            self.said.emit(_turned_back_text(how, entry.text))
            self.stepped.emit(entry, how)
            return
        count = len(source)
        self._watch.turn_back(how)
        self._pause.start()
        if len(source) == count:
            self._log.clear()
            self.said.emit(f"Nothing more to {how}: napari keeps 100 steps.")

    def _on_step(self, step: PixelStep, how: Direction) -> None:
        """Let the table follow; the one place through which every change of pixels comes."""
        if how == "edit":
            step.memory = self._displace_reused(step)
        elif how == "redo":
            step.memory = self.rows.swap_kept(step.memory)
        undone = how == "undo"
        gone, came = self.rows.follow(
            [one.turned_back() if undone else one for one in step.changes]
        )
        if undone:  # only now the rows of what was undone are kept aside, too
            step.memory = self.rows.swap_kept(step.memory)
        if how == "edit":
            what = self._doing or (f"added {len(came):,} cells" if len(came) >= _MANY else _PAINTED)
            self._log.add(PixelEntry(what))
            self.said.emit(f"{capital(what)}; {UNDO_HINT}.")
        else:
            what = self._log.move_pixels(how)
            self.said.emit(_turned_back_text(how, what))
            if undone and len(gone) - len(came) >= _MANY:
                self.warned.emit(
                    f"Undo took away {len(gone):,} cells (undone: {what}); Ctrl+Shift+Z brings "
                    "them back."
                )
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

    def _image(self) -> tuple[NDArray[Any], BoxIndex]:
        return self.layer.data[self.plane], self.rows.boxes[self.plane]

    def _free_labels(self, count: int) -> int:
        """Return the first of `count` labels that were never used."""
        first = self.rows.highest + 1
        if first + count - 1 > np.iinfo(self.layer.data.dtype).max:
            raise UserError(
                f"The labels of {self.layer.name} are used up ({self.layer.data.dtype}): convert "
                "the layer with a right click on it, 'Convert data type', to uint32."
            )
        return first


def _turned_back_text(how: Direction, text: str) -> str:
    return f"Undone: {text}; Ctrl+Shift+Z does it again." if how == "undo" else f"Redone: {text}."
