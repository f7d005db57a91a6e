"""Tidy masks: cells are one piece and have no holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances

_EIGHT_NEIGHBOURS = np.ones((3, 3), np.bool_)


def largest_component(instances: Instances, chosen: NDArray[np.bool_] | None = None) -> Instances:
    """Keep of each object, or of the `chosen` (N,) bool, only its largest part.

    Pixels that touch at a corner belong together: processes of astrocytes are often one pixel
    wide. Of equal parts the upper, then the left one is kept.
    """
    return _each_bitmap(instances, largest_part, chosen)


def fill_holes(instances: Instances, chosen: NDArray[np.bool_] | None = None) -> Instances:
    """Fill the holes of each object, or of the `chosen` (N,) bool.

    A hole is background that no path along pixel sides leads out of.
    """
    return _each_bitmap(instances, _filled, chosen)


def largest_part(bitmap: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest part of one bitmap; the bitmap itself when it is in one part or empty."""
    parts, count = _labelled(bitmap, _EIGHT_NEIGHBOURS)
    if count < 2:
        return bitmap
    sizes = np.bincount(parts.reshape(-1))
    sizes[0] = 0
    largest: NDArray[np.bool_] = parts == sizes.argmax()
    return largest


def _filled(bitmap: NDArray[np.bool_]) -> NDArray[np.bool_]:
    gaps, count = _labelled(~bitmap, None)
    if not count:
        return bitmap
    open_gaps = np.zeros(count + 1, np.bool_)
    for side in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
        open_gaps[side] = True
    open_gaps[0] = False
    filled: NDArray[np.bool_] = ~open_gaps[gaps]
    return filled


def _labelled(image: NDArray[np.bool_], structure: Any) -> tuple[NDArray[np.int32], int]:
    labels, count = ndimage.label(image, structure)
    return labels, int(count)


def _each_bitmap(
    instances: Instances,
    change: Callable[[NDArray[np.bool_]], NDArray[np.bool_]],
    chosen: NDArray[np.bool_] | None,
) -> Instances:
    masks = instances.masks
    changed = CropMasks(masks.bits.copy(), masks.boxes, masks.image_size)
    wanted = np.diff(masks.offsets) > 0
    if chosen is not None:
        wanted &= chosen
    for i in np.flatnonzero(wanted).tolist():
        bitmap = changed.bitmap(i)
        bitmap[...] = change(bitmap)
    return instances.with_masks(changed.tight())
