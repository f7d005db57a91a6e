"""How sure the network was of the pixels of each mask, in a few numbers kept instead of the pixels.

Masks are stored as zeros and ones; what their probabilities were is lost once they are pasted. A
second-level model wants to know it (7th place of the Sartorius challenge), so it is measured from
the small grids, where it is wanted, before they are thrown away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.groups import Groups
from napari_sartorius.core.paste import pasted_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

PREFIX = "mask_prob_"
NAMES = tuple(PREFIX + name for name in ("min", "max", "median", "mean", "q1", "q3", "std"))
"""Columns of objects that `mask_confidence` gives."""


def mask_confidence(
    probabilities: NDArray[np.floating],
    boxes: NDArray[np.floating],
    image_size: tuple[int, int],
    whole_pixels: bool = False,
) -> dict[str, NDArray[np.float32]]:
    """Statistics over the pixels of each object whose probability is above nothing.

    Parameters
    ----------
    probabilities : (N, m, m) float
        0..1, the mask inside its box.
    boxes : (N, 4) float
        xyxy, pixel edges of the image.
    image_size : (height, width)
        Pixels.
    whole_pixels : bool
        As for `paste`.

    Returns
    -------
    dict of str to (N,) float32
        The `NAMES`: minimum, maximum, median (of two middle ones the lower), mean, quartiles, and
        standard deviation with one degree of freedom less than pixels. Not-a-number for objects
        outside the image.
    """
    count = len(boxes)
    columns = {name: np.full(count, np.nan, np.float32) for name in NAMES}
    for first, sizes, values in pasted_values(probabilities, boxes, image_size, whole_pixels):
        owner = np.repeat(np.arange(len(sizes)), sizes)
        some = values > 0
        groups = Groups(owner[some], len(sizes))
        inside = values[some]
        shares = groups.quantiles(inside, (0, 0.25, 0.5, 0.75, 1), lower=(0.5,))
        found = [shares[0], shares[1], shares[0.5], groups.mean(inside)]
        found += [shares[0.25], shares[0.75], groups.std(inside, 1)]
        for name, column in zip(NAMES, found, strict=True):
            columns[name][first : first + len(sizes)] = column
    return columns
