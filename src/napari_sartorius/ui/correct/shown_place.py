"""Between what the viewer shows and the pixels of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels


def shown_plane(viewer: ViewerModel, layer: Labels) -> tuple[int, ...] | None:
    """Return which plane (Y, X) of a layer is shown, as its position along the axes in front.

    None when that is not one plane: in 3D, with other axes in front, or beyond the layer's ends.
    """
    dims = viewer.dims
    first = dims.ndim - layer.ndim
    wanted = (dims.ndim - 2, dims.ndim - 1)
    if dims.ndisplay != 2 or first < 0 or tuple(dims.displayed) != wanted:
        return None
    if layer.ndim == 2:
        return ()
    place = np.round(layer.world_to_data(dims.point[first:]))[:-2].astype(int)
    inside = (place >= 0) & (place < layer.data.shape[:-2])
    return tuple(place.tolist()) if inside.all() else None


def to_pixels(layer: Labels, position: Sequence[float]) -> tuple[float, float]:
    """Return a position in the world, as mouse events have it, as (y, x) of the layer's pixels."""
    y, x = np.asarray(layer.world_to_data(position), float)[-2:]
    return float(y), float(x)


def go_to(viewer: ViewerModel, layer: Labels, plane: tuple[int, ...], y: float, x: float) -> None:
    """Show a plane of a layer with (y, x) in the middle of the canvas; the zoom stays."""
    world = np.asarray(layer.data_to_world((*plane, y, x)), float)
    first = viewer.dims.ndim - len(world)
    for axis in range(len(plane)):
        if viewer.dims.point[first + axis] != world[axis]:
            viewer.dims.set_point(first + axis, world[axis])
    camera: Any = getattr(viewer, "scene", viewer).camera  # napari < 0.9 has no scene
    camera.center = (*camera.center[:-2], *world[-2:])


def enlarge(viewer: ViewerModel, layer: Labels, side: float, least: float = 40.0) -> None:
    """Zoom in until `side` pixels of a layer take at least `least` pixels of the screen."""
    camera: Any = getattr(viewer, "scene", viewer).camera  # napari < 0.9 has no scene
    shown = side * float(layer.scale[-1]) * camera.zoom
    if 0 < shown < least:
        camera.zoom *= least / shown
