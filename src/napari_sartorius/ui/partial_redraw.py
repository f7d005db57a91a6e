"""Sends to the graphics card what changed of a label layer, where napari would send all of it.

napari's own brush sends only the pixels that it changed, but undo, redo and other colours send the
whole image: on 4,096 x 4,096 pixels that is more work than everything else together. There is no
public way to do better, so this goes by five private names of `Labels`. Where a version of napari
lacks one of them, the whole layer is drawn, as napari does.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari.layers import Labels
    from napari.utils.colormaps import CyclicLabelColormap

    from napari_sartorius.core.edits import Box
    from napari_sartorius.ui.correct.pixel_watch import Plane

_NEEDED = (
    "_block_refresh",
    "_raw_to_displayed",
    "_partial_labels_refresh",
    "_slice",
    "_update_thumbnail",
)


def can_redraw_parts(layer: Labels) -> bool:
    """Whether a part of a layer can be drawn: not contours, whose width reaches beyond the part."""
    known = all(hasattr(layer, name) for name in _NEEDED)
    return known and bool(layer.visible and layer.loaded and layer.contour == 0)


def undrawn(layer: Labels) -> AbstractContextManager[object]:
    """Let nothing of a layer be drawn meanwhile; only where `can_redraw_parts`."""
    block = getattr(layer, "_block_refresh", nullcontext)
    context: AbstractContextManager[object] = block()
    return context


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
    with undrawn(layer):
        layer.colormap = colormap
    layer._update_thumbnail()
