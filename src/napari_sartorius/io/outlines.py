"""Outlines of masks as smooth closed lines, for drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import find_contours

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks


def smooth_outlines(masks: CropMasks, i: int) -> list[NDArray[np.float64]]:
    """Trace mask `i` and take the staircase out of the line.

    Parameters
    ----------
    masks
        Masks of one image.
    i
        Which one.

    Returns
    -------
    list of (K, 2) float64
        x and y in pixel edge coordinates, one closed line (without repeating its first point) per
        part and per hole; the line stays within half a pixel of the mask's border.
    """
    bitmap = masks.bitmap(i)
    if not bitmap.any():
        return []
    x0, y0 = masks.boxes[i, :2].tolist()
    padded = np.pad(bitmap, 1).astype(np.float32)
    outlines = []
    for line in find_contours(padded, 0.5):  # type: ignore[no-untyped-call]
        ring = line[:-1]
        if len(ring) > 8:
            # A closed line loses no length to the average of a point with its two neighbours.
            ring = 0.25 * np.roll(ring, 1, axis=0) + 0.5 * ring + 0.25 * np.roll(ring, -1, axis=0)
        # Pixel centres have whole numbers in `padded`, which has one pixel more at each side.
        outlines.append(ring[:, ::-1] + (x0 - 0.5, y0 - 0.5))
    return outlines
