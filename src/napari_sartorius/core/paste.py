"""Puts small mask probabilities into their boxes at full resolution, fast enough not to matter.

Bilinear interpolation of an (m, m) grid onto a box is separable: value = rows @ grid @ columns,
where each row of the two weight matrices holds the two taps of one pixel. The weights of all
objects are computed in one vectorised pass; what is left per object are two tiny matrix products,
which measured faster than gathering four corners per pixel and than batches padded to one size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

# Pixels that are float at one time: 1 MB, which stays in the cache of a core.
_CHUNK_PIXELS = 1 << 18


def paste(
    probabilities: NDArray[np.floating],
    boxes: NDArray[np.floating],
    image_size: tuple[int, int],
    threshold: ArrayLike = 0.5,
    whole_pixels: bool = False,
) -> CropMasks:
    """Turn mask probabilities into masks of an image.

    Same values as sampling at pixel centres with ``grid_sample(align_corners=False)`` and zeros
    outside, as detectron2 does, for every pixel that can reach the threshold.

    Parameters
    ----------
    probabilities : (N, m, m) float
        0..1, the mask inside its box, row 0 at the top.
    boxes : (N, 4) float
        xyxy, pixel edges of the target image; what lies outside the image is cut off.
    image_size : (height, width)
        Size of the target image in pixels.
    threshold : float or (N,) float
        A pixel belongs to the mask from this probability on, 0 < threshold <= 1.
    whole_pixels : bool
        Bring boxes to whole pixels first, as torchvision does.

    Returns
    -------
    CropMasks
        One mask per box, in order, possibly empty; boxes hold the whole pasted region and are
        loose.
    """
    grids = np.ascontiguousarray(probabilities, np.float32)
    exact = np.asarray(boxes, np.float32).reshape(-1, 4)
    if whole_pixels:
        grids, exact = _on_whole_pixels(grids, exact)
    limits = np.broadcast_to(np.asarray(threshold, np.float32), len(exact))
    regions = _regions(exact, image_size, grids.shape[-1], limits)
    ends = np.cumsum(_pixels(regions))
    bits = np.empty(int(ends[-1]) if len(ends) else 0, np.bool_)
    start = written = 0
    while start < len(exact):
        stop = int(np.searchsorted(ends, written + _CHUNK_PIXELS, side="right"))
        chunk = slice(start, max(stop, start + 1))
        upto = int(ends[chunk.stop - 1])
        _paste_chunk(grids[chunk], exact[chunk], regions[chunk], limits[chunk], bits[written:upto])
        start, written = chunk.stop, upto
    return CropMasks(bits, regions, image_size)


def pasted_values(
    probabilities: NDArray[np.floating],
    boxes: NDArray[np.floating],
    image_size: tuple[int, int],
    whole_pixels: bool = False,
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """Pasted probabilities themselves, for objects that need more than a mask.

    Parameters
    ----------
    probabilities, boxes, image_size, whole_pixels
        As for `paste`.

    Yields
    ------
    first : int
        Index of the first object of a chunk.
    sizes : (n,) int64
        Pixels of each object of the chunk: the box and, as in detectron2, one pixel around it.
    values : (sum of sizes,) float32
        Their probabilities, object by object.
    """
    grids = np.ascontiguousarray(probabilities, np.float32)
    exact = np.asarray(boxes, np.float32).reshape(-1, 4)
    if whole_pixels:
        grids, exact = _on_whole_pixels(grids, exact)
    margin = np.array([-1, -1, 1, 1], np.int32)
    limits = np.broadcast_to(np.float32(0.5), len(exact))
    regions = _regions(exact, image_size, grids.shape[-1], limits)
    sizes = _pixels(regions)
    height, width = image_size
    regions[sizes > 0] += margin
    regions = np.clip(regions, 0, np.array([width, height, width, height], np.int32))
    sizes = _pixels(regions)
    ends = np.cumsum(sizes)
    start = written = 0
    while start < len(exact):
        stop = max(int(np.searchsorted(ends, written + _CHUNK_PIXELS, side="right")), start + 1)
        chunk = slice(start, stop)
        values = np.empty(int(sizes[chunk].sum()), np.float32)
        for _ in _fill(grids[chunk], exact[chunk], regions[chunk], values):
            pass
        yield start, sizes[chunk], values
        start, written = stop, int(ends[stop - 1])


def _pixels(regions: NDArray[np.int32]) -> NDArray[np.int64]:
    sides = regions[:, 2:].astype(np.int64) - regions[:, :2]
    return sides[:, 0] * sides[:, 1]


def _on_whole_pixels(
    grids: NDArray[np.float32], boxes: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Grids with a ring of zeros, and their boxes from the pixel of one corner to the other's."""
    side = grids.shape[-1]
    half = (boxes[:, 2:] - boxes[:, :2]) * np.float32(0.5)
    centre = (boxes[:, 2:] + boxes[:, :2]) * np.float32(0.5)
    half *= np.float32((side + 2) / side)
    ends = np.trunc(np.concatenate([centre - half, centre + half], axis=1))
    ends[:, 2:] += 1
    padded = np.pad(grids, ((0, 0), (1, 1), (1, 1)))
    return np.ascontiguousarray(padded), ends.astype(np.float32)


def _regions(
    boxes: NDArray[np.float32],
    image_size: tuple[int, int],
    side: int,
    limits: NDArray[np.float32],
) -> NDArray[np.int32]:
    """Whole pixels around each box that can reach the threshold, inside the image.

    Values fall linearly from the outermost grid centre to zero one grid step outside, so below a
    threshold of one half the mask may leave its box by up to half a grid step.
    """
    height, width = image_size
    reach = np.clip(0.5 - limits, 0.0, None)[:, None] / side
    margin = (boxes[:, 2:] - boxes[:, :2]) * reach
    low = np.floor(boxes[:, :2] - margin)
    high = np.ceil(boxes[:, 2:] + margin)
    size = np.array([width, height], np.float32)
    low, high = np.clip(low, 0, size), np.clip(high, 0, size)
    # A box without extent, or one that is not a number, has no pixels.
    solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1, keepdims=True)
    high = np.where(solid, np.maximum(high, low), 0)
    return np.concatenate([np.where(solid, low, 0), high], axis=1).astype(np.int32)


def _paste_chunk(
    grids: NDArray[np.float32],
    boxes: NDArray[np.float32],
    regions: NDArray[np.int32],
    limits: NDArray[np.float32],
    out: NDArray[np.bool_],
) -> None:
    values = np.empty(out.shape, np.float32)
    filled = _fill(grids, boxes, regions, values)
    for limit, (start, stop) in zip(limits, filled, strict=True):
        np.greater_equal(values[start:stop], limit, out=out[start:stop])


def _fill(
    grids: NDArray[np.float32],
    boxes: NDArray[np.float32],
    regions: NDArray[np.int32],
    values: NDArray[np.float32],
) -> Iterator[tuple[int, int]]:
    """Interpolate object by object into the flat `values`; yields where each one's pixels are."""
    side = grids.shape[-1]
    row_ends, row_weights = _taps(boxes[:, [1, 3]], regions[:, [1, 3]], side)
    column_ends, column_weights = _taps(boxes[:, [0, 2]], regions[:, [0, 2]], side)
    row = column = position = 0
    for grid, row_end, column_end in zip(grids, row_ends, column_ends, strict=True):
        size = (row_end - row) * (column_end - column)
        if size:
            view = values[position : position + size].reshape(row_end - row, -1)
            by_row = row_weights[row:row_end] @ grid
            np.matmul(by_row, column_weights[column:column_end].T, out=view)
        yield position, position + size
        row, column, position = row_end, column_end, position + size


def _taps(
    spans: NDArray[np.float32], pixels: NDArray[np.int32], side: int
) -> tuple[list[int], NDArray[np.float32]]:
    """Interpolation weights of every pixel of every object along one axis.

    Parameters
    ----------
    spans : (N, 2) float32
        Where each box begins and ends.
    pixels : (N, 2) int32
        First pixel and end of the region to fill.
    side : int
        Grid points along the axis.

    Returns
    -------
    ends : list of int
        Row of `weights` after the last one of each object.
    weights : (sum of pixels, side) float32
        Two taps per row; taps outside the grid are left out, which reads as zeros there. Rows do
        not lie side by side in memory, which matrix products do not mind.
    """
    counts = (pixels[:, 1] - pixels[:, 0]).astype(np.int64)
    ends = np.cumsum(counts)
    first = np.repeat((ends - counts - pixels[:, 0]), counts)
    total = int(ends[-1]) if len(ends) else 0
    centre = (np.arange(total) - first).astype(np.float32) + np.float32(0.5)
    extent = np.maximum(spans[:, 1] - spans[:, 0], np.float32(1e-6))
    along = (centre - np.repeat(spans[:, 0], counts)) * np.repeat(side / extent, counts)
    along = np.clip(along.astype(np.float32) - np.float32(0.5), -1, side)
    lower = np.minimum(np.floor(along), side - 1)
    fraction = along - lower
    # One extra column on each side takes the taps that fall outside.
    weights = np.zeros((total, side + 2), np.float32)
    rows = np.arange(total)
    column = lower.astype(np.int64) + 1
    weights[rows, column] = 1 - fraction
    weights[rows, column + 1] = fraction
    return ends.tolist(), weights[:, 1:-1]
