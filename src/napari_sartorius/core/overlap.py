"""Which masks overlap and by how much, without comparing every mask with every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.flat import CHUNK_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

_CHUNK_CANDIDATES = 1 << 20


def overlapping_boxes(boxes: NDArray[np.int32], other: NDArray[np.int32] | None = None) -> Pairs:
    """Return index pairs of boxes that share at least one pixel.

    Boxes are swept along x: each is compared with those that start under its width only.

    Parameters
    ----------
    boxes : (N, 4) int32
        xyxy, exclusive right and bottom. Boxes without pixels never overlap.
    other : (M, 4) int32, optional
        When left out, pairs i < j within `boxes` are returned, each once.

    Returns
    -------
    rows, cols : (P,) int64
        Ordered by row, then column.
    """
    if other is None:
        left, right = _sweep(boxes, boxes, same=True)
        rows, cols = np.minimum(left, right), np.maximum(left, right)
    else:
        # Either the second box starts under the first one's width or the other way round.
        rows, cols = _sweep(boxes, other, same=False)
        cols_too, rows_too = _sweep(other, boxes, same=False, strictly_later=True)
        rows, cols = np.concatenate([rows, rows_too]), np.concatenate([cols, cols_too])
    order = np.lexsort((cols, rows))
    return rows[order], cols[order]


def _sweep(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    *,
    same: bool,
    strictly_later: bool = False,
) -> Pairs:
    """Pairs in which the second box starts at or after the start of the first and inside it."""
    by_start = np.argsort(second[:, 0], kind="stable")
    by_start = by_start[_has_pixels(second[by_start])]
    sorted_boxes = second[by_start]
    starts = sorted_boxes[:, 0]
    if same:
        index, boxes = by_start, sorted_boxes
        low = np.arange(1, len(index) + 1)
    else:
        index = np.flatnonzero(_has_pixels(first))
        boxes = first[index]
        low = np.searchsorted(starts, boxes[:, 0], side="right" if strictly_later else "left")
    high = np.searchsorted(starts, boxes[:, 2], side="left")
    counts = np.maximum(high - low, 0)
    ends = np.cumsum(counts)
    found: list[Pairs] = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    position = 0
    while position < len(index):
        done = ends[position] - counts[position]
        stop = int(np.searchsorted(ends, done + _CHUNK_CANDIDATES, side="right"))
        stop = max(stop, position + 1)
        some = counts[position:stop]
        a = np.repeat(np.arange(position, stop), some)
        b = np.arange(len(a)) + np.repeat(
            low[position:stop] - (ends[position:stop] - some - done), some
        )
        hit = (boxes[a, 1] < sorted_boxes[b, 3]) & (sorted_boxes[b, 1] < boxes[a, 3])
        found.append((index[a[hit]], by_start[b[hit]]))
        position = stop
    return np.concatenate([p[0] for p in found]), np.concatenate([p[1] for p in found])


def _has_pixels(boxes: NDArray[np.int32]) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return result


def shared_pixels(
    offsets_a: NDArray[np.int64],
    boxes_a: NDArray[np.int32],
    offsets_b: NDArray[np.int64],
    boxes_b: NDArray[np.int32],
) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield where the pixels in the intersections of pairs of overlapping boxes lie in the buffers.

    Parameters
    ----------
    offsets_a, offsets_b : (P,) int64
        Start of both bitmaps of each pair in their buffers.
    boxes_a, boxes_b : (P, 4) int32
        Their boxes; each pair must overlap.

    Yields
    ------
    pairs : slice
        The pairs that this portion covers.
    starts : int64
        Where each of them starts in the next two arrays.
    index_a, index_b : int64
        Places of the same pixels in both buffers.
    """
    a, b = boxes_a.astype(np.int64), boxes_b.astype(np.int64)
    x0, y0 = np.maximum(a[:, 0], b[:, 0]), np.maximum(a[:, 1], b[:, 1])
    widths = np.minimum(a[:, 2], b[:, 2]) - x0
    heights = np.minimum(a[:, 3], b[:, 3]) - y0
    ends = np.cumsum(widths * heights)
    stride_a, stride_b = a[:, 2] - a[:, 0], b[:, 2] - b[:, 0]
    corner_a = offsets_a + (y0 - a[:, 1]) * stride_a + (x0 - a[:, 0])
    corner_b = offsets_b + (y0 - b[:, 1]) * stride_b + (x0 - b[:, 0])
    position = 0
    while position < len(ends):
        done = ends[position] - widths[position] * heights[position]
        stop = int(np.searchsorted(ends, done + CHUNK_PIXELS, side="right"))
        stop = max(stop, position + 1)
        part = slice(position, stop)
        # First one entry per row of an intersection, then one per pixel: long repeats are cheap.
        pair = np.repeat(np.arange(position, stop), heights[part])
        row = np.arange(len(pair)) - np.repeat(
            np.cumsum(heights[part]) - heights[part], heights[part]
        )
        row_widths = widths[pair]
        along = np.arange(int(row_widths.sum()))
        row_first = np.cumsum(row_widths) - row_widths
        index_a = along + np.repeat(corner_a[pair] + row * stride_a[pair] - row_first, row_widths)
        index_b = along + np.repeat(corner_b[pair] + row * stride_b[pair] - row_first, row_widths)
        yield part, ends[part] - widths[part] * heights[part] - done, index_a, index_b
        position = stop


def intersections(
    bits_a: NDArray[np.uint8],
    offsets_a: NDArray[np.int64],
    boxes_a: NDArray[np.int32],
    bits_b: NDArray[np.uint8],
    offsets_b: NDArray[np.int64],
    boxes_b: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Return the number of pixels set in both masks of each of P overlapping pairs, (P,) int64."""
    result = np.zeros(len(boxes_a), np.int64)
    for part, starts, index_a, index_b in shared_pixels(offsets_a, boxes_a, offsets_b, boxes_b):
        both = bits_a[index_a] & bits_b[index_b]
        result[part] = np.add.reduceat(both, starts, dtype=np.int64)
    return result


def without_earlier(
    bits: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    rank: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Return the buffer in which each pixel is left to the covering mask of lowest `rank`.

    Works pair by pair instead of through an image of owners, so its memory does not depend on
    the size of the image.
    """
    rows, cols = overlapping_boxes(boxes)
    earlier = np.where(rank[rows] < rank[cols], rows, cols)
    later = rows + cols - earlier
    result = bits.copy()
    pairs = shared_pixels(offsets[earlier], boxes[earlier], offsets[later], boxes[later])
    for _, _, index_a, index_b in pairs:
        # Read from the original: what an earlier mask lost belongs to a still earlier one.
        result[index_b[bits[index_a] != 0]] = 0
    return result
