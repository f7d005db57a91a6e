"""Sends to the graphics card what changed of a label layer, where napari would send all of it.

napari's own brush sends only the pixels that it changed, but undo, redo and other colours send the
whole image: on 4,096 x 4,096 pixels that is more work than everything else together. There is no
public way to do better, so this goes by five private names of `Labels`. Where a version of napari
lacks one of them, the whole layer is drawn, as napari does.

Two more things are spared on the canvas itself: compiling its program again for other colours of
the same number, and looking up every pixel of a layer that is empty outside of a box. Both are
left to napari and vispy where the names that they need are missing.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.ui.late_thumbnail import update_thumbnail_later

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from napari.layers import Labels, Layer
    from napari.utils.colormaps import CyclicLabelColormap

    from napari_sartorius.core.edits import Box
    from napari_sartorius.ui.correct.pixel_steps import Plane

_NEEDED = (
    "_block_refresh",
    "_raw_to_displayed",
    "_partial_labels_refresh",
    "_slice",
    "_update_thumbnail",
)
_QUAD = ("_subdiv_position", "_subdiv_texcoord", "_need_vertex_update", "_build_vertex_data")


def can_redraw_parts(layer: Labels) -> bool:
    """Whether a part of a layer can be drawn: not contours, whose width reaches beyond the part."""
    known = all(hasattr(layer, name) for name in _NEEDED)
    return known and bool(layer.visible and layer.loaded and layer.contour == 0)


def undrawn(layer: Labels) -> AbstractContextManager[object]:
    """Let nothing of a layer be drawn meanwhile; only where `can_redraw_parts`."""
    block = getattr(layer, "_block_refresh", nullcontext)
    context: AbstractContextManager[object] = block()
    return context


def unlisted(layer: Layer) -> AbstractContextManager[object]:
    """Let the lists that show a layer hear nothing meanwhile; whoever draws it does.

    napari's layer list draws itself anew after every event of a layer, of whatever kind.
    """
    block: AbstractContextManager[object] = layer.events.blocker()  # of the group, not of each
    return block


def redraw_part(layer: Labels, plane: Plane, box: Box) -> None:
    """Draw a box of the plane that is shown; only where `can_redraw_parts`.

    Parameters
    ----------
    layer : Labels
        Whose array was changed in the box.
    plane : tuple of int
        Position along the axes in front of (Y, X).
    box : tuple of int
        First row, first column, last row + 1, last column + 1.
    """
    rows, columns = slice(box[0], box[2]), slice(box[1], box[3])
    shown = layer._slice.image
    shown.view[rows, columns] = layer._raw_to_displayed(shown.raw, data_slice=(rows, columns))
    layer._updated_slice = (*(slice(at, at + 1) for at in plane), rows, columns)
    layer._partial_labels_refresh()


def recolour(layer: Labels, colormap: CyclicLabelColormap) -> None:
    """Give a layer other colours; its pixels stay where they are when they look up the same rows.

    Parameters
    ----------
    layer : Labels
        Whose colormap is replaced.
    colormap : CyclicLabelColormap
        The new one.
    """
    from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap

    shown = layer.colormap
    same_rows = (
        isinstance(shown, CyclicLabelColormap)
        and not isinstance(shown, DirectLabelColormap)
        and np.shape(shown.colors) == np.shape(colormap.colors)
        and shown.background_value == colormap.background_value
        and (shown.use_selection, shown.selection) == (colormap.use_selection, colormap.selection)
    )
    if not same_rows or not can_redraw_parts(layer):
        layer.colormap = colormap
        return
    # the label selected stays; what shows its colour follows the event of the colormap as well
    quiet = layer.events.selected_label.blocker()
    with undrawn(layer), _same_programs(layer), unlisted(layer), quiet:
        layer.colormap = colormap
    update_thumbnail_later(layer)


def draw_only(layer: Labels, box: Box) -> None:
    """Let the canvas look up no pixel outside of a box, until another box is given.

    A layer that covers the canvas costs the same whether anything is in it: with OpenGL in
    software some 10 ms of each frame.

    Parameters
    ----------
    layer : Labels
        With two dimensions, and empty outside of the box.
    box : tuple of int
        First row, first column, last row + 1, last column + 1; all 0 to draw nothing.
    """
    height, width = layer.data.shape
    # shares of the whole: the texture may be smaller than the data
    top, left, bottom, right = np.array(box) / np.array([height, width, height, width])
    corners = [(left, top), (right, top), (right, bottom), (left, top), (right, bottom)]
    quad = np.array([*corners, (left, bottom)], np.float32)
    for node in _nodes(layer):
        if all(hasattr(node, name) for name in _QUAD):
            if node._need_vertex_update:
                node._build_vertex_data()  # so that the next drawing does not do it over ours
            node._subdiv_position.set_data(quad * np.asarray(node.size, np.float32))
            node._subdiv_texcoord.set_data(quad)
            node.update()


def _nodes(layer: Labels) -> list[Any]:
    """Return what draws a layer, one of each canvas; nothing where that cannot be found out."""
    listeners = [one[0]() for one in layer.events.labels_update.callbacks if isinstance(one, tuple)]
    nodes = [getattr(one, "node", None) for one in listeners]
    return [node for node in nodes if node is not None]


@contextmanager
def _same_programs(layer: Labels) -> Iterator[None]:
    """Keep the programs of the canvas where another colormap would make the same ones again."""
    before = [
        (node, node.cmap.glsl_map, node._need_colortransform_update)
        for node in _nodes(layer)
        if hasattr(node, "_need_colortransform_update")
    ]
    yield
    for node, text, waits in before:
        if node.cmap.glsl_map == text:
            node._need_colortransform_update = waits
