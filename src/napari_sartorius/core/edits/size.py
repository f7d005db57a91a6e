"""Growing and shrinking objects by one pixel, where outlines were drawn too tight or too wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.edits.objects import mask_of
from napari_sartorius.core.edits.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sartorius.core.edits.boxes import BoxIndex


def grow(plane: NDArray[Any], boxes: BoxIndex, labels: Iterable[int]) -> Patch:
    """Add the background pixels that share an edge with an object.

    Between two objects that grow together the one that is named first gets the pixel. Other
    objects lose nothing.

    Parameters
    ----------
    plane : (H, W) int
        The label image.
    boxes : BoxIndex
        The boxes of that plane.
    labels : iterable of int
        The objects; those that are not in the plane are passed over.
    """
    parts = []
    for label in labels:
        if label not in boxes:
            continue
        mask, (y, x) = mask_of(plane, boxes, label, margin=1)
        free = plane[y : y + mask.shape[0], x : x + mask.shape[1]] == 0
        parts.append(Patch.where(_any_neighbour(mask) & free, (y, x), label))
    return Patch.join(parts)


def shrink(plane: NDArray[Any], boxes: BoxIndex, labels: Iterable[int]) -> Patch:
    """Remove the pixels of objects that share an edge with anything else.

    The border of the image takes nothing away. An object of which nothing would be left stays as
    it is. See `grow` for the parameters.
    """
    parts = []
    for label in labels:
        if label not in boxes:
            continue
        mask, corner = mask_of(plane, boxes, label, margin=1)
        border = mask & _any_neighbour(~mask)
        if not np.array_equal(border, mask):
            parts.append(Patch.where(border, corner, 0))
    return Patch.join(parts)


def _any_neighbour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether any of the four pixels that share an edge is set."""
    found = np.zeros_like(mask)
    found[1:] |= mask[:-1]
    found[:-1] |= mask[1:]
    found[:, 1:] |= mask[:, :-1]
    found[:, :-1] |= mask[:, 1:]
    return found
