"""Colours of a label layer, and hiding objects by making their colour transparent.

Hiding must not touch the pixels: `layer.data` is what gets saved, and its undo history belongs to
the user's own edits. So objects are hidden in the colour table only. One table with a row per
label value is uploaded as a small texture, which takes milliseconds whatever the image size.

napari's cyclic colormap holds some 65,000 rows, which covers every 8- and 16-bit label image.
Label values beyond that would need napari's direct colormap, which takes seconds per change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.partial_redraw import recolour

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.utils.colormaps import CyclicLabelColormap
    from numpy.typing import NDArray

# One row less than napari could hold: its "shuffle colours" fails on a table of 2**16 rows.
_TABLE_ROWS = (1 << 16) - 1
_PALETTE_SIZE = 64
_GOLDEN_ANGLE = 0.618033988749895


def object_palette(seed: int = 0) -> NDArray[np.float32]:
    """Return 64 well-separated bright RGBA colours, (64, 4) float32 in 0..1.

    The hue walks the colour circle by the golden angle, so labels with neighbouring numbers, which
    often are neighbours in the image, differ clearly. Dark colours are left out because they
    vanish on a microscope's grey background.
    """
    steps = np.arange(_PALETTE_SIZE)
    hue = (steps * _GOLDEN_ANGLE + seed * 0.137) % 1.0
    saturation = np.choose(steps % 3, (0.85, 0.55, 0.70))
    value = np.choose(steps % 2, (1.0, 0.88))
    # hsv to rgb for all rows at once: each channel is a clipped triangle wave of the hue
    offsets = np.array([5.0, 3.0, 1.0])
    phase = (offsets[None] + hue[:, None] * 6.0) % 6.0
    wave = np.clip(np.minimum(phase, 4.0 - phase), 0.0, 1.0)
    rgb = value[:, None] * (1.0 - saturation[:, None] * wave)
    return np.concatenate([rgb, np.ones((_PALETTE_SIZE, 1))], axis=1).astype(np.float32)


def hex_to_rgba(colour: str) -> tuple[float, float, float, float]:
    """Return ``'#rrggbb'`` as RGBA in 0..1; raises ``ValueError`` for any other form."""
    if len(colour) != 7 or colour[0] != "#":
        raise ValueError(f"colour {colour!r} is not of the form '#rrggbb'")
    red, green, blue = (int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5))
    return red, green, blue, 1.0


def colour_table(
    size: int,
    index: NDArray[np.int64],
    colours: NDArray[np.float32] | None,
    hidden: NDArray[np.bool_],
    seed: int = 0,
) -> NDArray[np.float32]:
    """Return one RGBA row per label value, (size, 4) float32, row 0 transparent.

    Parameters
    ----------
    size : int
        Number of rows: label values 0 to ``size - 1``.
    index : (N,) int64
        Label value of each known object.
    colours : (N, 4) float32 or None
        Colour of each known object; None gives each label its own colour from the palette.
    hidden : (N,) bool
        True for the objects to make transparent. Labels that are not in `index`, such as a cell
        that the user has just painted, are always shown.
    seed : int
        Another seed, another assignment of palette colours.
    """
    palette = object_palette(seed)
    table = np.tile(palette, (-(-size // len(palette)), 1))[:size]
    inside = (index > 0) & (index < size)
    if colours is not None:
        table[index[inside]] = colours[inside]
    table[index[inside & hidden], 3] = 0.0
    table[0] = 0.0
    return table


def build_colormap(
    dtype: np.dtype[np.generic],
    index: NDArray[np.int64],
    colours: NDArray[np.float32] | None,
    hidden: NDArray[np.bool_],
    seed: int = 0,
) -> CyclicLabelColormap:
    """Return a napari colormap for a label image of `dtype`; see `colour_table`.

    Raises
    ------
    UserError
        If label values exceed what napari can map.
    """
    from napari.utils.colormaps import CyclicLabelColormap

    bits = 8 * np.dtype(dtype).itemsize
    # always full-size, so that label values beyond the known objects do not wrap around onto
    # (possibly hidden) known ones
    size = 1 << bits if bits < 16 else _TABLE_ROWS
    if int(index.max(initial=0)) >= size:
        raise UserError(
            f"This layer has label values above {size - 1:,}, too many for napari to hide some of "
            "them: use 'Copy shown cells to a new layer' to see what the filter leaves."
        )
    return CyclicLabelColormap(
        colors=colour_table(size, index, colours, hidden, seed), background_value=0
    )


def first_colormap(
    dtype: np.dtype[np.generic], index: NDArray[np.int64]
) -> CyclicLabelColormap | None:
    """Return the colours of a result that nobody has filtered; None leaves napari's own.

    See `build_colormap`; that label values exceed what napari can map is told when the result is
    looked at.
    """
    try:
        colormap = build_colormap(dtype, index, None, np.zeros(len(index), dtype=np.bool_))
    except UserError:
        return None
    colormap.selection = 1  # as every new layer of napari has it
    return colormap


def apply_colormap(layer: Labels, colormap: CyclicLabelColormap) -> None:
    """Give `layer` the colormap without losing napari's own "show selected" mode."""
    colormap.use_selection = bool(layer.show_selected_label)
    colormap.selection = int(layer.selected_label)
    recolour(layer, colormap)
