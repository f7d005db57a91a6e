"""Which cells are selected, seen from the image: outlines, clicks, the brush's label."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.correct.outline_layer import OutlineLayer, frame, outlines
from napari_sartorius.ui.correct.shown_place import enlarge, go_to, shown_plane
from napari_sartorius.ui.partial_redraw import unlisted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_sartorius.core.edits import Box
    from napari_sartorius.ui.correct.session import CorrectionSession

_LARGE_SIDE = 2000  # from which thin outlines vanish when the whole image is shown


class CanvasSelection:
    """Shows a selection of cells on the canvas.

    Parameters
    ----------
    viewer : ViewerModel
        Whose canvas it is.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._outline = OutlineLayer(viewer)
        self.session: CorrectionSession | None = None
        self._held = 0
        self._wanted: tuple[Sequence[int], int] | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Show the last selection only of those that follow one another inside."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if not self._held and self._wanted is not None:
                wanted, self._wanted = self._wanted, None
                self.show(*wanted)

    def show(self, labels: Sequence[int], go_to_label: int = 0) -> None:
        """Outline cells, and bring one of them into the middle of the canvas."""
        if self.session is None:
            return
        if self._held:
            self._wanted = (labels, go_to_label)
            return
        if go_to_label:
            self._go_to(self.session, go_to_label)
        self._choose_label(self.session, labels)
        self.draw(labels)

    def draw(self, labels: Sequence[int]) -> None:
        """Outline cells as they are now, in the slice that is shown."""
        session = self.session
        plane = shown_plane(self._viewer, session.layer) if session is not None else None
        if session is None or not labels or plane is None:
            self._outline.hide()
            return
        image = session.layer.data[plane]
        width = 3 if max(image.shape) > _LARGE_SIDE else 1
        self._outline.show(session.layer, outlines(image, session.rows.boxes[plane], labels, width))

    def sketch(self, points: NDArray[np.float64] | None, labels: Sequence[int]) -> None:
        """Show a closed outline (N, 2) of (y, x), besides those of cells; None takes it away."""
        session = self.session
        plane = shown_plane(self._viewer, session.layer) if session is not None else None
        if session is None or plane is None or points is None:
            self.draw(labels)
            return
        from napari_sartorius.postprocess.edits import stroke_pixels

        image = session.layer.data[plane]
        drawn = stroke_pixels(
            np.concatenate([points, points[:1]]), (image.shape[0], image.shape[1])
        )
        self._outline.show(session.layer, drawn)

    def enlarge(self, box: Box) -> None:
        """Zoom in on a box of the layer where it would be too small to judge."""
        if self.session is not None:
            enlarge(self._viewer, self.session.layer, max(box[2] - box[0], box[3] - box[1]))

    def show_place(self, plane: tuple[int, ...], box: Box) -> None:
        """Frame a place of the layer, and bring it into the middle of the canvas."""
        session = self.session
        if session is None:
            return
        y0, x0, y1, x1 = box
        go_to(self._viewer, session.layer, plane, (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2)
        enlarge(self._viewer, session.layer, max(y1 - y0, x1 - x0))
        self._choose_label(session, [])
        self._outline.show(session.layer, frame(box, session.layer.data.shape[-2:]))

    def clear(self) -> None:
        """Leave nothing of it in the viewer."""
        self._outline.remove()

    def after_click(
        self, labels: Sequence[int], position: tuple[float, float], add: bool
    ) -> list[int]:
        """Return what is selected after a click at (y, x) of the layer, with Shift or without."""
        if self.session is None:
            return list(labels)
        try:
            label = self.session.label_at(position)
        except UserError:
            return list(labels)
        if not add:
            return [label] if label else []
        if label in labels:
            return [one for one in labels if one != label]
        return [*labels, label] if label else list(labels)

    def _go_to(self, session: CorrectionSession, label: int) -> None:
        planes = session.rows.planes_of(label)
        if not planes:
            return
        now = shown_plane(self._viewer, session.layer)
        plane = now if now in planes else planes[0]
        y0, x0, y1, x1 = session.rows.boxes[plane][label]
        go_to(self._viewer, session.layer, plane, (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2)

    def _choose_label(self, session: CorrectionSession, labels: Sequence[int]) -> None:
        """Let napari's brush extend the selected cell, or draw a new one when none is selected.

        So it never paints with the label of a cell that was deleted.
        """
        try:
            wanted = labels[-1] if len(labels) == 1 else session.next_label
        except UserError:
            return
        layer = session.layer
        if layer.selected_label == wanted:
            return
        # unless it is the only one that is seen, the list of layers looks the same afterwards
        with nullcontext() if layer.show_selected_label else unlisted(layer):
            layer.selected_label = wanted
