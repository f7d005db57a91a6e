"""Tidy masks: cells are one piece and have no holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.runs import Runs, bits_of_runs, runs_of_bits
from napari_sartorius.postprocess.components import components_of_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances

_EIGHT_NEIGHBOURS = np.ones((3, 3), np.bool_)


def largest_component(instances: Instances, chosen: NDArray[np.bool_] | None = None) -> Instances:
    """Keep of each object, or of the `chosen` (N,) bool, only its largest part.

    Pixels that touch at a corner belong together: processes of astrocytes are often one pixel
    wide. Of equal parts the upper, then the left one is kept.
    """
    masks = instances.masks
    runs = _runs(masks, masks.bits)
    part = components_of_runs(runs, corners=True)
    keep = _in_largest(runs, part, len(masks))
    if chosen is not None:
        keep |= ~chosen[runs.instance]
    if keep.all():
        return instances.with_masks(masks.tight())
    return instances.with_masks(_drawn(Runs(*(column[keep] for column in runs)), masks))


def fill_holes(instances: Instances, chosen: NDArray[np.bool_] | None = None) -> Instances:
    """Fill the holes of each object, or of the `chosen` (N,) bool.

    A hole is background that no path along pixel sides leads out of.
    """
    masks = instances.masks
    gaps = _runs(masks, 1 - masks.bits)
    part = components_of_runs(gaps, corners=False)
    box = masks.boxes[gaps.instance]
    at_border = (gaps.line == box[:, 1]) | (gaps.line == box[:, 3] - 1)
    at_border |= (gaps.start == box[:, 0]) | (gaps.stop == box[:, 2])
    is_open = np.zeros(int(part.max(initial=-1)) + 1, np.bool_)
    is_open[part[at_border]] = True
    hole = ~is_open[part]
    if chosen is not None:
        hole &= chosen[gaps.instance]
    if not hole.any():
        return instances.with_masks(masks.tight())
    bits = masks.bits.copy()
    _set(bits, masks, Runs(*(column[hole] for column in gaps)))
    return instances.with_masks(CropMasks(bits, masks.boxes, masks.image_size).tight())


def largest_part(bitmap: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest part of one bitmap; the bitmap itself when it is in one part or empty."""
    parts, count = _labelled(bitmap)
    if count < 2:
        return bitmap
    sizes = np.bincount(parts.reshape(-1))
    sizes[0] = 0
    largest: NDArray[np.bool_] = parts == sizes.argmax()
    return largest


def _labelled(image: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    labels: Any
    labels, count = ndimage.label(image, _EIGHT_NEIGHBOURS)
    return labels, int(count)


def _runs(masks: CropMasks, bits: NDArray[np.uint8]) -> Runs:
    """Horizontal runs of ones in `bits`, laid out as the masks are, in pixels of the image."""
    wide = masks.boxes.astype(np.int64)
    return runs_of_bits(bits, masks.offsets, wide[:, 2] - wide[:, 0], wide[:, [1, 0]])


def _in_largest(runs: Runs, part: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Whether each run belongs to the largest part of its mask, the first of equal ones."""
    parts = int(part.max(initial=-1)) + 1
    size = np.bincount(part, weights=runs.stop - runs.start, minlength=parts)
    owner = np.zeros(parts, np.int64)
    owner[part] = runs.instance
    best = np.full(count, -1, np.int64)
    # The last one written stays: of each mask the largest, of equal ones the first.
    order = np.lexsort((-np.arange(parts), size))
    best[owner[order]] = order
    largest: NDArray[np.bool_] = best[runs.instance] == part
    return largest


def _drawn(runs: Runs, masks: CropMasks) -> CropMasks:
    bits, extents = bits_of_runs(runs, len(masks))
    return CropMasks(bits, extents[:, [1, 0, 3, 2]], masks.image_size)


def _set(bits: NDArray[np.uint8], masks: CropMasks, runs: Runs) -> None:
    """Set the pixels of runs in a buffer laid out as the masks are."""
    boxes = masks.boxes.astype(np.int64)[runs.instance]
    first = masks.offsets[runs.instance] + (runs.line - boxes[:, 1]) * (boxes[:, 2] - boxes[:, 0])
    first += runs.start - boxes[:, 0]
    lengths = runs.stop - runs.start
    before = np.cumsum(lengths) - lengths
    bits[np.arange(int(lengths.sum())) + np.repeat(first - before, lengths)] = 1
