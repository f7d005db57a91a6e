"""What the mouse does on the image: select cells by a click, draw lines and outlines for tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_sartorius.io.layer_table import OVERLAY_KEY
from napari_sartorius.ui.correct.outline_layer import plane_affine
from napari_sartorius.ui.correct.shown_place import to_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Labels, Shapes
    from numpy.typing import NDArray

_CLICK_REACH = 4.0  # screen pixels that the hand may tremble
_COLOUR = "#f0e442"
_FEWEST_POINTS = {"line": 2, "area": 3}
_LESS = {"Control", "Alt"}  # some window managers keep clicks with Alt for themselves


class CanvasPointer(QObject):
    """Follows the mouse over one layer.

    Parameters
    ----------
    viewer : ViewerModel
        Whose mouse is followed.
    layer : Labels
        Whose pixels positions are given in.
    """

    clicked = Signal(float, float, bool)
    """y, x and whether Shift was down, in pixels of the layer."""

    drawn = Signal(str, object)
    """``line`` or ``area`` and its points (N, 2) as (y, x).

    For a prompt ``box`` and two opposite corners, or one point: ``point``, with Shift ``more``,
    with Ctrl or Alt ``less``.
    """

    def __init__(self, viewer: ViewerModel, layer: Labels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer = layer
        self._stroke = ""
        self._pen: Shapes | None = None
        self._panned = True
        viewer.mouse_drag_callbacks.append(self._on_drag)

    @property
    def is_drawing(self) -> bool:
        """Whether a stroke is waited for."""
        return bool(self._stroke)

    def stop(self) -> None:
        """Follow the mouse no more."""
        self.end_drawing()
        if self._on_drag in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_drag)

    def start_drawing(self, stroke: str) -> None:
        """Let the mouse draw a ``line``, an ``area`` or a ``prompt``; the image does not move."""
        self.end_drawing()
        self._viewer.layers.selection.active = self._layer
        self._layer.mode = "pan_zoom"
        self._stroke = stroke
        self._panned = bool(self._layer.mouse_pan)
        self._layer.mouse_pan = False
        self._layer.cursor = "cross"

    def end_drawing(self) -> None:
        """Give the mouse back and take a stroke that was begun away."""
        self._lift_pen()
        if self._stroke:
            self._stroke = ""
            self._layer.mouse_pan = self._panned
            self._layer.cursor = "standard"

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        if event.button != 1:
            return
        if self._stroke == "prompt":
            yield from self._point(event)
        elif self._stroke:
            yield from self._draw(event)
        else:
            yield from self._click(event)

    def _click(self, event: Any) -> Iterator[None]:
        """Tell a click from the begin of a drag, which moves the image."""
        active = self._viewer.layers.selection.active
        painting = active is not None and str(getattr(active, "mode", "pan_zoom")) != "pan_zoom"
        if painting or not self._layer.visible:
            return
        begin, moved = np.asarray(event.position, float), 0.0
        camera = getattr(self._viewer, "scene", self._viewer).camera
        yield
        while event.type == "mouse_move":
            distance = float(np.abs(np.asarray(event.position, float) - begin).max())
            moved = max(moved, distance * camera.zoom)
            yield
        if moved <= _CLICK_REACH:
            y, x = to_pixels(self._layer, begin)
            self.clicked.emit(y, x, "Shift" in event.modifiers)

    def _draw(self, event: Any) -> Iterator[None]:
        stroke, points = self._stroke, [to_pixels(self._layer, event.position)]
        yield
        while event.type == "mouse_move" and self._stroke:
            point = to_pixels(self._layer, event.position)
            if point != points[-1]:
                points.append(point)
                self._show_pen(np.array(points))
            yield
        given_up = self._stroke != stroke
        self._lift_pen()
        if not given_up and len(points) >= _FEWEST_POINTS[stroke]:
            self.drawn.emit(stroke, np.array(points))

    def _point(self, event: Any) -> Iterator[None]:
        """Tell a click from a box that is dragged."""
        begin, modifiers = to_pixels(self._layer, event.position), set(event.modifiers)
        start, end, moved = np.asarray(event.position, float), begin, 0.0
        camera = getattr(self._viewer, "scene", self._viewer).camera
        yield
        while event.type == "mouse_move" and self._stroke:
            end = to_pixels(self._layer, event.position)
            distance = float(np.abs(np.asarray(event.position, float) - start).max())
            moved = max(moved, distance * camera.zoom)
            if moved > _CLICK_REACH:
                self._show_pen(_rectangle(begin, end))
            yield
        given_up = self._stroke != "prompt"
        self._lift_pen()
        if given_up:
            return
        if moved > _CLICK_REACH:
            self.drawn.emit("box", np.array([begin, end]))
        else:
            how = "more" if "Shift" in modifiers else "less" if modifiers & _LESS else "point"
            self.drawn.emit(how, np.array([begin]))

    def _show_pen(self, points: NDArray[np.float64]) -> None:
        """Draw the stroke as far as it is, in a layer that is gone when it ends."""
        if self._pen is None:
            self._pen = self._add_pen()
        camera = getattr(self._viewer, "scene", self._viewer).camera
        scale = float(np.abs(np.asarray(self._layer.scale)[-2:]).max()) or 1.0
        width = 2.0 / max(float(camera.zoom) * scale, 1e-6)
        self._pen.data = []
        self._pen.add_paths(points, edge_width=width, edge_color=_COLOUR, face_color="transparent")

    def _add_pen(self) -> Shapes:
        pen = self._viewer.add_shapes(  # shown at every slice: it lasts no longer than the stroke
            name="pen",
            ndim=2,
            opacity=1.0,
            affine=plane_affine(self._layer),
            metadata={OVERLAY_KEY: True},
        )
        self._viewer.layers.selection.active = self._layer
        return pen

    def _lift_pen(self) -> None:
        pen, self._pen = self._pen, None
        if pen is not None and any(pen is one for one in self._viewer.layers):
            self._viewer.layers.remove(pen)
            self._viewer.layers.selection.active = self._layer


def _rectangle(begin: tuple[float, float], end: tuple[float, float]) -> NDArray[np.float64]:
    (y0, x0), (y1, x1) = begin, end
    return np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0), (y0, x0)])
