"""Chooses among candidates the object that fits the points given, and bends it where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.inference.prompt import Point, Prompt


_SAME = 0.3  # mask IoU with the object in a box of what can be meant instead
_MOST = 0.5  # share of an object that must not be taken away with a point


def pick(
    candidates: Instances, prompt: Prompt, fit: NDArray[np.floating], bite: float = 0.0
) -> Instances:
    """Return the one object that a prompt means.

    The most fitting candidate that holds all points inside and none outside. With a box, the first
    candidate is the object in the box and wins when it fits; others must resemble it or hold a
    point. Where none fits, the one that fits best is taken; candidates at points that it lacks are
    joined to it, and those at points that it must not hold are taken away from it.

    Parameters
    ----------
    candidates
        In the pixels of the image.
    prompt
        What was pointed at.
    fit : (N,)
        How likely each candidate is the one that is meant.
    bite
        Radius in pixels around a point outside that is taken away where no other object is there.

    Returns
    -------
    Instances
        One object with a tight mask, or none.
    """
    inside = holds(candidates.masks, prompt.points)
    outside = holds(candidates.masks, prompt.outside)
    boxed = prompt.box is not None
    meant = _like(candidates.masks) | inside.any(axis=1) if boxed else inside[:, 0]
    if not meant.any():
        return Instances.empty(candidates.image_size)
    right = inside.sum(axis=1) + (~outside).sum(axis=1)
    first = np.zeros(len(candidates))
    first[:1] = boxed
    order = np.lexsort((-fit, -first, -right, ~meant))
    best = int(order[0])
    mask = candidates.masks[np.array([best])]
    missing, wrong = ~inside[best], outside[best]
    if missing.any() or wrong.any():
        mask = _bent(candidates.masks, fit, best, _Rows(inside, missing), _Rows(outside, wrong))
        mask = _bitten(mask, [prompt.outside[p] for p in np.flatnonzero(wrong)], bite)
    if not mask.area()[0]:
        return Instances.empty(candidates.image_size)
    return candidates[np.array([best])].with_masks(mask.tight())


def _like(masks: CropMasks) -> NDArray[np.bool_]:
    """Which masks show what the first one shows; none where there is none or it is empty."""
    if not len(masks):
        return np.zeros(0, np.bool_)
    return np.asarray(masks[np.array([0])].iou(masks)[0] > _SAME)


def _cover(masks: CropMasks, one: int) -> NDArray[np.bool_]:
    """Which masks hold most of one of them."""
    area = masks.area()
    alike = masks[np.array([one])].iou(masks)[0]
    return np.asarray(alike / (1 + alike) * (area + area[one]) > _MOST * area[one])


def _bitten(mask: CropMasks, points: Sequence[Point], radius: float) -> CropMasks:
    """A mask without the discs around those points (y, x) that it still holds."""
    still = [p for p, held in zip(points, holds(mask, points)[0], strict=True) if held]
    if not still or radius <= 0:
        return mask
    bitmap = mask.bitmap(0).copy()
    left, top = mask.boxes[0, :2]
    y, x = np.ogrid[: bitmap.shape[0], : bitmap.shape[1]]
    for py, px in still:
        bitmap &= (y + top + 0.5 - py) ** 2 + (x + left + 0.5 - px) ** 2 > radius**2
    return CropMasks.from_bitmaps([bitmap], np.array([[left, top]]), mask.image_size)


def holds(masks: CropMasks, points: Sequence[Point]) -> NDArray[np.bool_]:
    """(N, P) bool: which masks hold which points (y, x) in pixel edges."""
    result = np.zeros((len(masks), len(points)), np.bool_)
    for n, bitmap in enumerate(masks):
        left, top = masks.boxes[n, :2]
        for p, (y, x) in enumerate(points):
            row, column = int(np.floor(y)) - int(top), int(np.floor(x)) - int(left)
            if 0 <= row < bitmap.shape[0] and 0 <= column < bitmap.shape[1]:
                result[n, p] = bitmap[row, column]
    return result


class _Rows:
    """Which candidates hold which points, and which of the points matter."""

    def __init__(self, held: NDArray[np.bool_], matter: NDArray[np.bool_]) -> None:
        self.held, self.matter = held, matter


def _bent(
    masks: CropMasks, fit: NDArray[np.floating], best: int, inside: _Rows, outside: _Rows
) -> CropMasks:
    """The best mask with others joined and taken away."""
    boxes = masks.boxes
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    canvas = np.zeros((int(bottom - top), int(right - left)), np.bool_)

    def part(n: int) -> tuple[slice, slice]:
        x0, y0, x1, y1 = boxes[n] - np.array([left, top, left, top])
        return slice(y0, y1), slice(x0, x1)

    canvas[part(best)] = masks.bitmap(best)
    for point in np.flatnonzero(inside.matter):
        fitting = inside.held[:, point] & ~outside.held.any(axis=1)
        if (other := _best(fit, fitting)) is not None:
            canvas[part(other)] |= masks.bitmap(other)
    # points inside say what must stay; without any it is most of the object
    kept = inside.held.any(axis=1) if inside.held.shape[1] else _cover(masks, best)
    for point in np.flatnonzero(outside.matter):
        fitting = outside.held[:, point] & ~kept
        if (other := _best(fit, fitting)) is not None:
            canvas[part(other)] &= ~masks.bitmap(other)
    return CropMasks.from_bitmaps([canvas], np.array([[left, top]]), masks.image_size)


def _best(fit: NDArray[np.floating], fitting: NDArray[np.bool_]) -> int | None:
    if not fitting.any():
        return None
    return int(np.argmax(np.where(fitting, fit, -1.0)))
