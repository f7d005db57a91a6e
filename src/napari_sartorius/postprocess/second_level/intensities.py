"""Grey levels of the image inside each object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core import flat
from napari_sartorius.core.groups import Groups
from napari_sartorius.postprocess.second_level import names

if TYPE_CHECKING:
    from napari_sartorius.core.masks import CropMasks


GreyLevels = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any]]
"""Gives the grey levels, (P,), of pixels at y (P,) and x (P,): no copy of a large image is made."""


def intensity_features(
    masks: CropMasks, image: NDArray[Any] | GreyLevels
) -> dict[str, NDArray[np.float64]]:
    """Smallest, largest, median, mean grey level, quartiles and deviation of each object.

    Parameters
    ----------
    masks : CropMasks
        N masks.
    image : (H, W) or function
        Real numbers, compared as float32, or a function that gives them.

    Returns
    -------
    dict of str to (N,) float64
        Not-a-number for empty masks.
    """
    table = np.full((len(names.INTENSITY), len(masks)), np.nan)
    for pixels in flat.set_pixels(masks.bits, masks.boxes, masks.offsets):
        count = len(pixels.counts)
        at = pixels.y, pixels.x
        values = (image(*at) if callable(image) else image[at]).astype(np.float64)
        groups = Groups(pixels.instance - pixels.first, count)
        shares = groups.quantiles(values, (0, 0.25, 0.5, 0.75, 1))
        part = table[:, pixels.first : pixels.first + count]
        part[:] = (
            shares[0],
            shares[1],
            shares[0.5],
            groups.mean(values),
            shares[0.25],
            shares[0.75],
            groups.std(values),
        )
    return dict(zip(names.INTENSITY, table, strict=True))
