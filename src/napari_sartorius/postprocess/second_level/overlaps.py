"""How far objects of an image overlap each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sartorius.postprocess.second_level import names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks


def overlap_features(
    masks: CropMasks, areas: NDArray[np.int64], compat: Literal["t4e"] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Largest, smallest and mean IoU with the other objects, its deviation, and how many overlap.

    Parameters
    ----------
    masks : CropMasks
        N masks.
    areas : (N,) int64
        Their areas.
    compat : {"t4e"}, optional
        With it each object is among its own neighbours, as in the original, so that the largest IoU
        is always 1.

    Returns
    -------
    dict of str to (N,) float64
        All 0 where there is no other object.
    """
    count = len(masks)
    rows, cols, shared = masks.overlaps()
    iou = shared / (areas[rows] + areas[cols] - shared)
    owner = np.concatenate([rows, cols])
    iou = np.concatenate([iou, iou])
    if compat == "t4e":
        owner = np.concatenate([owner, np.arange(count)])
        iou = np.concatenate([iou, np.ones(count)])
    others = max(count if compat == "t4e" else count - 1, 1)
    number = np.bincount(owner, minlength=count).astype(np.float64)
    mean = np.bincount(owner, iou, count) / others
    squares = np.bincount(owner, iou * iou, count) / others
    largest = np.zeros(count)
    np.maximum.at(largest, owner, iou)
    smallest = np.full(count, np.inf)
    np.minimum.at(smallest, owner, iou)
    # All objects that are not listed overlap by nothing.
    smallest[number < others] = 0.0
    smallest[~np.isfinite(smallest)] = 0.0
    deviation = np.sqrt(np.maximum(squares - mean * mean, 0))
    columns = largest, smallest, mean, deviation, number
    return dict(zip(names.OVERLAP, columns, strict=True))
