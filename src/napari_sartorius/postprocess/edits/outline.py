"""Tidying the outline of objects in a label image: holes filled, edges smoothed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sartorius.core.edits.objects import mask_of
from napari_sartorius.core.edits.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sartorius.core.edits.boxes import BoxIndex

_SIGMA = 2.0
_REACH = 6  # pixels around an object that smoothing may use


def fill_object_holes(plane: NDArray[Any], boxes: BoxIndex, labels: Iterable[int]) -> Patch:
    """Fill the background inside objects; another object that lies in a hole stays.

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
        mask, (y, x) = mask_of(plane, boxes, label)
        free = plane[y : y + mask.shape[0], x : x + mask.shape[1]] == 0
        parts.append(Patch.where(ndimage.binary_fill_holes(mask) & free, (y, x), label))
    return Patch.join(parts)


def smooth(plane: NDArray[Any], boxes: BoxIndex, labels: Iterable[int]) -> Patch:
    """Smooth the outline of objects without changing their area.

    The object is blurred, and as many pixels as it had are kept where the blurred object is
    strongest. Only its own and background pixels can be taken. An object that would fall into
    more parts than before, such as a thin neurite, is left as it is. See `fill_object_holes` for
    the parameters.
    """
    labels = [label for label in labels if label in boxes]
    # an object must see what those before it have taken and left
    plane = plane.copy() if len(labels) > 1 else plane
    parts: list[Patch] = []
    for label in labels:
        mask, (y, x) = mask_of(plane, boxes, label, margin=_REACH)
        free = plane[y : y + mask.shape[0], x : x + mask.shape[1]] == 0
        new = _smoothed(mask, mask | free)
        if ndimage.label(new)[1] > ndimage.label(mask)[1]:
            continue
        patch = Patch.where(new != mask, (y, x), np.where(new, label, 0))
        if len(labels) > 1:
            patch.apply(plane)
        parts.append(patch)
    return Patch.join(parts[::-1])


def _smoothed(mask: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return as many pixels as `mask` has, all of them allowed, with a smoother outline."""
    # beyond the border of the crop the object goes on as at the border: images cut cells there
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), _SIGMA, mode="nearest")
    area = int(mask.sum())
    candidates = np.flatnonzero(allowed)
    # of equally strong pixels the object's own come first
    strength = blurred.reshape(-1)[candidates] + 1e-6 * mask.reshape(-1)[candidates]
    kept = candidates[np.argsort(-strength, kind="stable")[:area]]
    new = np.zeros(mask.size, np.bool_)
    new[kept] = True
    return new.reshape(mask.shape)
