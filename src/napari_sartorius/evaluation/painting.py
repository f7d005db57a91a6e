"""Overlaps of masks with objects that share no pixel: painted once, read off by label.

Comparing masks pair by pair looks at every pixel as often as there are boxes over it. Where one
side is free of overlaps, as predictions in the competition are, an image of labels answers for all
pairs at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_sartorius.core import flat
from napari_sartorius.evaluation.matching import Pairs, pairs_of_overlaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks

    Overlaps = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

# Pixels of the image per pixel of all boxes up to which the whole image is counted.
_MUCH_BACKGROUND = 8


class Painted(NamedTuple):
    """Objects that have left each pixel to one of them.

    Attributes
    ----------
    labels : (H, W) unsigned int
        0 is background, object i has i + 1.
    areas : (N,) int64
        Pixels that each object still has.
    """

    labels: NDArray[np.integer[Any]]
    areas: NDArray[np.int64]


def painted(masks: CropMasks) -> Painted:
    """Leave each pixel to the first mask that covers it."""
    labels = masks.to_labels()
    areas = np.zeros(len(masks), np.int64)
    if labels.size <= masks.bits.size * _MUCH_BACKGROUND:
        areas += np.bincount(labels.reshape(-1), minlength=len(masks) + 1)[1:]
        return Painted(labels, areas)
    for first, counts, below in _labels_below(masks, labels):
        mask = np.repeat(np.arange(first, first + len(counts)), counts)
        areas += np.bincount(mask[below == mask + 1], minlength=len(masks))
    return Painted(labels, areas)


def pairs_with_painted(truth: CropMasks, predicted: Painted, iou: float) -> Pairs:
    """Return all pairs whose intersection over union exceeds `iou` (0 to 1).

    Parameters
    ----------
    truth : CropMasks
        N masks, which may overlap each other.
    predicted : Painted
        M objects on an image of the same size.
    iou : float
        0 to 1.

    Raises
    ------
    ValueError
        If the images differ in size.
    """
    if truth.image_size != predicted.labels.shape:
        raise ValueError(
            f"expected masks of one image size, got {truth.image_size} and {predicted.labels.shape}"
        )
    return pairs_of_overlaps(*_overlaps(truth, predicted), truth.area(), predicted.areas, iou)


def _overlaps(truth: CropMasks, predicted: Painted) -> Overlaps:
    """Return the pairs that share pixels, by row, then column, and how many they share."""
    pitch = len(predicted.areas) + 1
    nothing = np.zeros(0, np.int64)
    rows, cols, shared = [nothing], [nothing], [nothing]
    for first, counts, below in _labels_below(truth, predicted.labels):
        # Neighbours mostly have the same label: what follows is done once per run of them.
        filled = np.flatnonzero(counts)
        begin = (np.cumsum(counts) - counts)[filled]
        new = np.ones(len(below), np.bool_)
        np.not_equal(below[1:], below[:-1], out=new[1:])
        new[begin] = True
        start = np.flatnonzero(new)
        length = np.diff(start, append=len(below))
        label = below[start].astype(np.int64)
        mask = filled[np.searchsorted(begin, start, side="right") - 1]
        hit = label > 0
        pair, pixels = summed(mask[hit] * pitch + label[hit], length[hit])
        row, col = np.divmod(pair, pitch)
        rows.append(row + first)
        cols.append(col - 1)
        shared.append(pixels)
    return np.concatenate(rows), np.concatenate(cols), np.concatenate(shared)


def summed(
    key: NDArray[np.int64], value: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the keys that occur, ascending, and the sum of the values that each has."""
    if not len(key):
        return key, value
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.diff(key, prepend=key[0] - 1))
    return key[starts], np.add.reduceat(value[order], starts)


def _labels_below(
    masks: CropMasks, labels: NDArray[np.integer[Any]]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.integer[Any]]]]:
    """Read the labels at all set pixels, a bounded number of masks at a time.

    Yields the first mask, how many set pixels each mask has, and their labels, mask by mask.
    """
    width = masks.image_size[1]
    image = labels.reshape(-1)
    sides = masks.boxes.astype(np.int64)
    for start, stop in flat.chunks(masks.offsets):
        low, high = masks.offsets[start], masks.offsets[stop]
        bits = masks.bits[low:high]
        counts = flat.areas(bits, masks.offsets[start : stop + 1] - low)
        if not counts.any():
            continue
        x0, y0, x1, y1 = sides[start:stop].T
        heights = np.where(x1 > x0, y1 - y0, 0)
        per_row = np.repeat(x1 - x0, heights)
        begin = np.cumsum(per_row) - per_row
        row = np.arange(len(per_row)) - np.repeat(np.cumsum(heights) - heights, heights)
        # What takes a pixel from its place in the buffer to its place in the image.
        shift = np.repeat(y0 * width + x0, heights) + row * width - begin
        set_per_row = np.add.reduceat(bits, begin, dtype=np.int64)
        position = np.flatnonzero(bits)
        position += np.repeat(shift, set_per_row)
        yield start, counts, image[position]
