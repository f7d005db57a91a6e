"""What is left in one piece of a drawing when others keep their pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_sartorius.core.edits.patch import Patch


def one_piece(patch: Patch, at: tuple[float, float] | None = None) -> Patch:
    """Keep one connected piece of a drawn area; a corner does not connect.

    Parameters
    ----------
    patch : Patch
        Pixels of one new object.
    at : (y, x), optional
        In pixel edges, pixel i covering [i, i + 1]; the piece there is kept, where there is one.
        Else the largest is.
    """
    if not len(patch):
        return patch
    top, left = int(patch.y.min()), int(patch.x.min())
    grid = np.zeros((int(patch.y.max()) - top + 1, int(patch.x.max()) - left + 1), np.bool_)
    grid[patch.y - top, patch.x - left] = True
    pieces, count = ndimage.label(grid)
    if count <= 1:
        return patch
    of_pixel = pieces[patch.y - top, patch.x - left]
    kept = int(np.bincount(of_pixel).argmax())
    if at is not None:
        here = (patch.y == int(np.floor(at[0]))) & (patch.x == int(np.floor(at[1])))
        kept = int(of_pixel[here][0]) if here.any() else kept
    chosen = of_pixel == kept
    return Patch(patch.y[chosen], patch.x[chosen], patch.values[chosen])
