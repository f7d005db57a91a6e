"""Corrections that take an object as a whole or add and remove a drawn area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.edits.patch import Patch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.edits.boxes import BoxIndex


def mask_of(
    plane: NDArray[Any], boxes: BoxIndex, label: int, margin: int = 0
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return one object as a bitmap and where its first pixel lies.

    Parameters
    ----------
    plane : (H, W) int
        The label image.
    boxes : BoxIndex
        The boxes of that plane.
    label : int
        The object; it must be in the plane.
    margin : int
        Pixels around the box that the bitmap has besides, as far as the plane goes.

    Returns
    -------
    mask : (h, w) bool
        True for the object's pixels.
    corner : (y, x)
        Of the bitmap in the plane.
    """
    y0, x0, y1, x1 = boxes[label]
    top, left = max(y0 - margin, 0), max(x0 - margin, 0)
    return plane[top : y1 + margin, left : x1 + margin] == label, (top, left)


def relabel(plane: NDArray[Any], boxes: BoxIndex, changes: Mapping[int, int]) -> Patch:
    """Give objects other labels; the keys that are not in the plane are passed over.

    Parameters
    ----------
    plane : (H, W) int
        The label image.
    boxes : BoxIndex
        The boxes of that plane.
    changes : mapping of int to int
        New label by old label; 0 removes.
    """
    parts = []
    for label, new in changes.items():
        if label in boxes:
            mask, corner = mask_of(plane, boxes, label)
            parts.append(Patch.where(mask, corner, new))
    # objects share no pixel, so there is nothing to compare
    if not parts:
        return Patch.empty()
    return Patch(*(np.concatenate([getattr(p, n) for p in parts]) for n in ("y", "x", "values")))


def delete(plane: NDArray[Any], boxes: BoxIndex, labels: Iterable[int]) -> Patch:
    """Make objects background; see `relabel` for the parameters."""
    return relabel(plane, boxes, dict.fromkeys(labels, 0))


def merge(plane: NDArray[Any], boxes: BoxIndex, labels: Sequence[int], into: int) -> Patch:
    """Make several objects one, with the label `into`; see `relabel` for the parameters."""
    return relabel(plane, boxes, {label: into for label in labels if label != into})


def carve(
    plane: NDArray[Any],
    mask: NDArray[np.bool_],
    corner: tuple[int, int],
    labels: Iterable[int],
) -> Patch:
    """Cut a drawn area out of objects: a hole, or a bite at the border.

    Parameters
    ----------
    plane : (H, W) int
        The label image.
    mask : (h, w) bool
        The area, inside the plane.
    corner : (y, x)
        Where the mask's first pixel lies.
    labels : iterable of int
        The objects to cut; others under the area stay.
    """
    window = _window(plane, mask, corner)
    return Patch.where(mask & np.isin(window, list(labels)), corner, 0)


def draw(
    plane: NDArray[Any],
    mask: NDArray[np.bool_],
    corner: tuple[int, int],
    label: int,
    overwrite: bool = False,
) -> Patch:
    """Fill a drawn area with a label.

    Parameters
    ----------
    plane : (H, W) int
        The label image.
    mask : (h, w) bool
        The area, inside the plane.
    corner : (y, x)
        Where the mask's first pixel lies.
    label : int
        The object to make or to extend.
    overwrite : bool
        Whether the area may take pixels away from other objects.
    """
    window = _window(plane, mask, corner)
    free = window != label if overwrite else window == 0
    return Patch.where(mask & free, corner, label)


def exchange(
    plane: NDArray[Any],
    boxes: BoxIndex,
    label: int,
    new: int,
    mask: NDArray[np.bool_],
    corner: tuple[int, int],
    overwrite: bool = False,
) -> tuple[Patch, float]:
    """Put another mask with another label in the place of an object.

    Parameters
    ----------
    plane : (H, W) int
        The label image.
    boxes : BoxIndex
        The boxes of that plane.
    label, new : int
        The object that goes, and the one that comes.
    mask, corner : (h, w) bool, (y, x)
        The pixels of the new one, inside the plane.
    overwrite : bool
        Whether it may take pixels away from further objects.

    Returns
    -------
    patch : Patch
        Empty when nothing would be left of the object.
    overlap : float
        IoU, 0..1, of its pixels before and after.
    """
    old, old_corner = mask_of(plane, boxes, label)
    window = _window(plane, mask, corner)
    taken = mask if overwrite else mask & ((window == 0) | (window == label))
    count = int(np.count_nonzero(taken))
    if not count:
        return Patch.empty(), 0.0
    shared = int(np.count_nonzero(taken & (window == label)))
    overlap = shared / (count + int(np.count_nonzero(old)) - shared)
    coming = Patch.where(taken, corner, new)
    return Patch.join([coming, Patch.where(old, old_corner, 0)]), overlap


def _window(plane: NDArray[Any], mask: NDArray[np.bool_], corner: tuple[int, int]) -> NDArray[Any]:
    y, x = corner
    window = plane[y : y + mask.shape[0], x : x + mask.shape[1]]
    if window.shape != mask.shape:
        raise ValueError(f"an area of shape {mask.shape} at {corner} leaves {plane.shape}")
    return window
