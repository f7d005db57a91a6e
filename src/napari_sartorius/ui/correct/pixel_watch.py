"""Knows which pixels of a label layer have changed: by a tool, a brush, an undo or a script.

napari keeps an undo history of pixels and tells when a step was added to it, but not what was in
it, nor that it was undone; the history itself is private. So this keeps a copy of the planes that
are being worked on and compares. Every step is remembered as the pixels that it changed: when the
layer was drawn anew and the last step's pixels have their old labels again, it was undone. That
holds for the key, for a menu, for a script, and for a layer that was hidden meanwhile.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sartorius.ui.correct.pixel_steps import PixelStep, PlaneChange
from napari_sartorius.ui.correct.plane_copies import PlaneCopies
from napari_sartorius.ui.partial_redraw import can_redraw_parts, redraw_part, undrawn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Labels

    from napari_sartorius.core.edits import Patch
    from napari_sartorius.ui.correct.pixel_steps import Direction, Plane

_HISTORY = 100  # steps, as many as napari keeps


class PixelWatch:
    """Follows the pixels of one layer.

    Parameters
    ----------
    layer : Labels
        With a numpy array of (..., Y, X) that is not multiscale.
    plane_now : callable
        Returns the plane that is shown, or None while that is not one plane (Y, X).
    on_step : callable
        Called with a `PixelStep` and whether it was an edit, an undo or a redo.
    on_unknown : callable
        Called when pixels may have changed anywhere.
    """

    def __init__(
        self,
        layer: Labels,
        plane_now: Callable[[], Plane | None],
        on_step: Callable[[PixelStep, Direction], None],
        on_unknown: Callable[[], None],
    ) -> None:
        self._layer = layer
        self._plane_now = plane_now
        self._on_step = on_step
        self._on_unknown = on_unknown
        self._copies = PlaneCopies(layer)
        self._own: list[PlaneChange] | None = None
        self._several_planes = False
        self._is_awaited = False
        self._last_plane: Plane | None = plane_now()
        self.expected: Direction | None = None
        self._undo: deque[PixelStep] = deque(maxlen=_HISTORY)
        self._redo: deque[PixelStep] = deque(maxlen=_HISTORY)
        layer.events.labels_update.connect(self._on_labels_update)
        layer.events.paint.connect(self._on_paint)
        layer.events.set_data.connect(self.look)
        layer.events.data.connect(self._on_data)
        self._copies.keep(plane_now())

    def stop(self) -> None:
        """Follow the layer no more."""
        self._layer.events.labels_update.disconnect(self._on_labels_update)
        self._layer.events.paint.disconnect(self._on_paint)
        self._layer.events.set_data.disconnect(self.look)
        self._layer.events.data.disconnect(self._on_data)

    def write(self, patches: Sequence[tuple[Plane, Patch]]) -> bool:
        """Apply patches as one step of napari's history; False when nothing changes."""
        changes = []
        for plane, patch in patches:
            patch = patch.effective(self._layer.data[plane])
            if len(patch):
                before = self._layer.data[plane][patch.y, patch.x]
                values = patch.values.astype(self._layer.data.dtype)
                changes.append(PlaneChange(plane, patch.y, patch.x, before, values))
        if not changes:
            return False
        self._own = changes
        try:
            with self._layer.block_history():
                for one in changes:
                    leading = tuple(np.full(len(one.y), at, np.int64) for at in one.plane)
                    self._layer.data_setitem((*leading, one.y, one.x), one.after)
        finally:
            self._own = None
        return True

    def turn_back(self, how: Direction) -> None:
        """Undo or redo the latest step of napari's history, and follow it.

        Only what it changed is drawn, where that is known and napari can.
        """
        steps = self._undo if how == "undo" else self._redo
        step = steps[-1] if steps and steps[-1].is_known else None
        move = self._layer.undo if how == "undo" else self._layer.redo
        self.expected = how
        try:
            if step is None or self._plane_now() is None or not can_redraw_parts(self._layer):
                move()
            else:
                self._move_and_redraw(move, step, "before" if how == "undo" else "after")
            self.look()  # a hidden layer is not drawn, and tells nothing
        finally:
            self.expected = None

    def _move_and_redraw(
        self, move: Callable[[], None], step: PixelStep, wanted: Literal["before", "after"]
    ) -> None:
        with undrawn(self._layer):
            move()
        if self._state(step) != wanted:  # napari's history holds something else
            self._layer.refresh()
            return
        self._own = []  # what is drawn now is no stroke
        try:
            plane = self._plane_now()
            for one in step.changes:
                if one.plane == plane:
                    box = (one.y.min(), one.x.min(), one.y.max() + 1, one.x.max() + 1)
                    redraw_part(self._layer, one.plane, tuple(map(int, box)))
        finally:
            self._own = None

    def look(self, event: object = None) -> None:
        """Find out whether steps were undone or redone since the last look.

        Where somebody has just asked for one of them, ``expected`` tells which.
        """
        plane = self._plane_now()
        same_plane, self._last_plane = plane == self._last_plane, plane
        if self._own is not None:
            return
        if self._is_awaited:
            self._is_awaited = False
            self._add_stroke()
        if self._stroke_goes_on():
            return
        found = False
        while (how := self._moved()) is not None:
            if how == "unknown":
                self._lose_track()
                return
            undone = how == "undo"
            self._move(*((self._undo, self._redo) if undone else (self._redo, self._undo)), how)
            found = True
        unknown = [s for s in (self._undo, self._redo) if s and not s[-1].is_known]
        if unknown and same_plane and not found:
            self._lose_track()
            return
        self._copies.keep(plane)

    def verify(self) -> None:
        """Compare the plane that is shown with what is known of it, pixel by pixel.

        This finds what programs wrote into the array without telling napari. It takes a hundredth
        of a second on a large image: too long for every drawing, short enough for a pause.
        """
        if self._copies.is_touched or self._is_awaited or self._own is not None:
            return
        if self._copies.differs(self._plane_now()):
            self._lose_track()

    def _moved(self) -> Direction | Literal["unknown"] | None:
        """Tell by its pixels whether the next step was undone or redone; None when neither."""
        undo = self._state(self._undo[-1]) if self._undo else "after"
        redo = self._state(self._redo[-1]) if self._redo else "before"
        if undo == "before" and redo == "after":
            # A step may take back a part of the one before it, such as shrinking what has grown.
            # What was done has changed the pixels of both, so it is the one that changes more; of
            # two opposites only the caller knows which it was.
            more = self._redo[-1].size - self._undo[-1].size
            return "redo" if more > 0 or (more == 0 and self.expected == "redo") else "undo"
        if undo == "before":
            return "undo"
        if redo == "after":
            return "redo"
        return None if undo == "after" and redo == "before" else "unknown"

    def _move(self, source: deque[PixelStep], target: deque[PixelStep], how: Direction) -> None:
        step = source.pop()
        target.append(step)
        self._copies.follow(step.changes, "before" if how == "undo" else "after")
        self._on_step(step, how)

    def _state(self, step: PixelStep) -> Literal["before", "after", "other"]:
        """Whether the pixels of a step are as before it or as after it."""
        if not step.is_known:
            return "after" if self._undo and step is self._undo[-1] else "before"
        now = [self._layer.data[one.plane][one.y, one.x] for one in step.changes]
        for name in ("after", "before"):
            if all(
                np.array_equal(pixels, getattr(one, name))
                for pixels, one in zip(now, step.changes, strict=True)
            ):
                return name
        return "other"

    def _on_labels_update(self, event: Any) -> None:
        """Note where a brush has been; napari draws each of its moves at once."""
        if self._own is not None:
            return
        plane = self._plane_now()
        if plane is None or self._layer.n_edit_dimensions > 2:
            self._several_planes = True
            if self._is_awaited:
                self._add_unknown()
            return
        top, left = (int(at) for at in event.offset[-2:])
        height, width = np.shape(event.data)[:2]
        self._copies.touch(plane, (top, left, top + height, left + width))
        if self._is_awaited:
            self._add_stroke()

    def _on_paint(self, event: object = None) -> None:
        """Follow a step that napari has just taken into its history.

        napari tells of a stroke after its last pixel was written, but of a single call such as
        ``layer.fill`` before the first one; that one is followed when it is drawn.
        """
        if self._own is not None:
            self._add(self._own)
        elif self._several_planes:
            self._add_unknown()
        else:
            self._is_awaited = not self._add_stroke()

    def _add_stroke(self) -> bool:
        """Add what differs from the copies as a step; False when nothing does."""
        plane = self._plane_now()
        if not self._copies.is_touched and plane is not None:
            self._copies.touch(plane)  # painted without drawing: look everywhere
        changes = self._copies.differences()
        self._copies.untouch()
        if changes is None or self._several_planes:
            self._add_unknown()
            return True
        if changes:
            self._add(changes)
        return bool(changes)

    def _add(self, changes: list[PlaneChange]) -> None:
        step = PixelStep(changes)
        self._copies.follow(changes, "after")
        self._is_awaited = False
        self._copies.untouch()
        self._redo.clear()
        self._undo.append(step)
        self._on_step(step, "edit")

    def _add_unknown(self) -> None:
        self._is_awaited = self._several_planes = False
        self._copies.untouch()
        self._redo.clear()
        self._undo.append(PixelStep([]))
        self._forget_copies()
        self._on_unknown()

    def _stroke_goes_on(self) -> bool:
        """Whether a brush has changed pixels that are not in the history yet."""
        if not self._copies.is_touched:
            return False
        changes = self._copies.differences()
        if changes is None:
            self._several_planes = True
        elif changes:
            return True
        self._copies.untouch()  # the stroke was given up
        return False

    def _on_data(self, event: object = None) -> None:
        """Somebody gave the layer another array; napari's history now fits no more."""
        self._undo.clear()
        self._redo.clear()
        self._copies.untouch()
        self._forget_copies()
        self._on_unknown()

    def _lose_track(self) -> None:
        """Pixels were changed behind napari's back: nothing that was remembered holds."""
        self._undo.clear()
        self._redo.clear()
        self._forget_copies()
        self._on_unknown()

    def _forget_copies(self) -> None:
        self._copies.forget()
        self._copies.keep(self._plane_now())
