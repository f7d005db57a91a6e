"""Shows one object on the canvas: in the middle, large enough to be seen, outlined in white."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.ui.correct.outline_layer import OutlineLayer, outlines
from napari_sartorius.ui.correct.shown_place import go_to

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sartorius.core.masks import CropMasks

_TOO_SMALL, _WELL_SEEN = 24.0, 90.0  # screen pixels


class ErrorSpot:
    """The outlines of what is looked at.

    Parameters
    ----------
    viewer : ViewerModel
        Where they appear.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._outline = OutlineLayer(viewer)

    def show(self, layer: Labels, plane: tuple[int, ...], masks: CropMasks) -> None:
        """Centre the canvas on masks of a slice of a layer, and outline each."""
        boxes = masks.bounding_boxes()
        x0, y0 = boxes[:, :2].min(axis=0).tolist()
        x1, y1 = boxes[:, 2:].max(axis=0).tolist()
        go_to(self._viewer, layer, plane, (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2)
        self._zoom(layer, max(y1 - y0, x1 - x0))
        camera: Any = getattr(self._viewer, "scene", self._viewer).camera
        thickness = 1.5 / max(float(camera.zoom) * float(np.abs(layer.scale[-1])), 1e-6)
        self._outline.show(layer, _around(masks, int(np.clip(round(thickness), 1, 3))))

    def show_slice(self, layer: Labels, plane: tuple[int, ...]) -> None:
        """Show a slice of a layer; the place in it stays."""
        self.hide()
        camera: Any = getattr(self._viewer, "scene", self._viewer).camera
        y, x = camera.center[-2:]
        here = (*layer.data_to_world((*plane, 0, 0))[:-2], y, x)
        go_to(self._viewer, layer, plane, *layer.world_to_data(here)[-2:])

    def hide(self) -> None:
        """Show no outlines."""
        self._outline.hide()

    def remove(self) -> None:
        """Take the outlines out of the viewer."""
        self._outline.remove()

    def _zoom(self, layer: Labels, side: float) -> None:
        """Come closer when an object of so many pixels would be a dot; never go away."""
        camera: Any = getattr(self._viewer, "scene", self._viewer).camera
        world = side * float(np.abs(layer.scale[-1]))
        if 0 < world * camera.zoom < _TOO_SMALL:
            camera.zoom = _WELL_SEEN / world


def _around(masks: CropMasks, width: int) -> tuple[Any, Any]:
    """Return the pixels around each mask, `width` pixels wide, inside the image."""
    height_of, width_of = masks.image_size
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for bitmap, (x0, y0, _, _) in zip(masks, masks.boxes.tolist(), strict=True):
        padded = np.pad(bitmap.astype(np.uint8), width)
        box = (width, width, padded.shape[0] - width, padded.shape[1] - width)
        y, x = outlines(padded, {1: box}, [1], width)
        y, x = y + y0 - width, x + x0 - width
        inside = (y >= 0) & (y < height_of) & (x >= 0) & (x < width_of)
        rows.append(y[inside])
        columns.append(x[inside])
    return np.concatenate(rows), np.concatenate(columns)
