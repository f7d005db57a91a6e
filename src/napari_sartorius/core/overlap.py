"""Which masks overlap and by how much, without comparing every mask with every other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_sartorius.core.flat import CHUNK_PIXELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

_CHUNK_CANDIDATES = 1 << 20
# Pixels up to which one window costs less as part of a batch than on its own (measured).
_SMALL_WINDOW = 512


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


class _Windows(NamedTuple):
    """Where the intersections of P pairs of overlapping boxes lie, all (P,) int64.

    Attributes: first pixel of the window and pixels per bitmap row in either buffer, and the
    window's width and height.
    """

    corner_a: NDArray[np.int64]
    corner_b: NDArray[np.int64]
    stride_a: NDArray[np.int64]
    stride_b: NDArray[np.int64]
    widths: NDArray[np.int64]
    heights: NDArray[np.int64]


def _windows(
    offsets_a: NDArray[np.int64],
    boxes_a: NDArray[np.int32],
    offsets_b: NDArray[np.int64],
    boxes_b: NDArray[np.int32],
) -> _Windows:
    a, b = boxes_a.astype(np.int64), boxes_b.astype(np.int64)
    x0: NDArray[np.int64] = np.maximum(a[:, 0], b[:, 0])
    y0: NDArray[np.int64] = np.maximum(a[:, 1], b[:, 1])
    stride_a, stride_b = a[:, 2] - a[:, 0], b[:, 2] - b[:, 0]
    return _Windows(
        corner_a=offsets_a + (y0 - a[:, 1]) * stride_a + (x0 - a[:, 0]),
        corner_b=offsets_b + (y0 - b[:, 1]) * stride_b + (x0 - b[:, 0]),
        stride_a=stride_a,
        stride_b=stride_b,
        widths=np.minimum(a[:, 2], b[:, 2]) - x0,
        heights=np.minimum(a[:, 3], b[:, 3]) - y0,
    )


def intersections(
    bits_a: NDArray[np.uint8],
    offsets_a: NDArray[np.int64],
    boxes_a: NDArray[np.int32],
    bits_b: NDArray[np.uint8],
    offsets_b: NDArray[np.int64],
    boxes_b: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Return the number of pixels set in both masks of each of P pairs of overlapping boxes.

    Parameters
    ----------
    bits_a, bits_b : uint8
        The flat buffers.
    offsets_a, offsets_b : (P,) int64
        Start of both bitmaps of each pair in their buffers.
    boxes_a, boxes_b : (P, 4) int32
        Their boxes, xyxy.

    Returns
    -------
    (P,) int64
    """
    windows = _windows(offsets_a, boxes_a, offsets_b, boxes_b)
    small = windows.widths * windows.heights <= _SMALL_WINDOW
    result = np.zeros(len(boxes_a), np.int64)
    result[small] = _count_small(bits_a, bits_b, _Windows(*(v[small] for v in windows)))
    result[~small] = _count_large(bits_a, bits_b, _Windows(*(v[~small] for v in windows)))
    return result


def _count_small(
    bits_a: NDArray[np.uint8], bits_b: NDArray[np.uint8], windows: _Windows
) -> NDArray[np.int64]:
    """Count all windows together, through an index per pixel: best for many small ones."""
    result = np.zeros(len(windows.widths), np.int64)
    sizes = windows.widths * windows.heights
    ends = np.cumsum(sizes)
    position = 0
    while position < len(sizes):
        done = ends[position] - sizes[position]
        stop = max(int(np.searchsorted(ends, done + CHUNK_PIXELS, side="right")), position + 1)
        corner_a, corner_b, stride_a, stride_b, widths, heights = (
            values[position:stop] for values in windows
        )
        # First one entry per row of a window, then one per pixel: long repeats are cheap.
        row_widths = np.repeat(widths, heights)
        row = np.arange(len(row_widths)) - np.repeat(np.cumsum(heights) - heights, heights)
        along = np.arange(int(sizes[position:stop].sum()))
        before = np.cumsum(row_widths) - row_widths
        first_a = np.repeat(corner_a, heights) + row * np.repeat(stride_a, heights) - before
        first_b = np.repeat(corner_b, heights) + row * np.repeat(stride_b, heights) - before
        both = bits_a[along + np.repeat(first_a, row_widths)]
        both &= bits_b[along + np.repeat(first_b, row_widths)]
        starts = ends[position:stop] - sizes[position:stop] - done
        result[position:stop] = np.add.reduceat(both, starts, dtype=np.int64)
        position = stop
    return result


def _count_large(
    bits_a: NDArray[np.uint8], bits_b: NDArray[np.uint8], windows: _Windows
) -> NDArray[np.int64]:
    """Count window by window, through views: best when a window has hundreds of pixels."""
    counts = []
    set_a, set_b = bits_a.view(np.bool_), bits_b.view(np.bool_)
    for corner_a, corner_b, stride_a, stride_b, width, height in zip(
        *(values.tolist() for values in windows), strict=True
    ):
        view_a = _window(set_a, corner_a, stride_a, width, height)
        view_b = _window(set_b, corner_b, stride_b, width, height)
        counts.append(np.count_nonzero(view_a & view_b))
    return np.array(counts, np.int64)


def _window(
    buffer: NDArray[np.bool_], corner: int, stride: int, width: int, height: int
) -> NDArray[np.bool_]:
    return np.ndarray((height, width), np.bool_, buffer, corner, (stride, 1))


def without_earlier(
    bits: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    order: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Return the buffer in which each pixel is left to the first covering mask in `order`."""
    rows, cols = overlapping_boxes(boxes)
    if not len(rows):
        return bits
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    earlier = np.where(rank[rows] < rank[cols], rows, cols)
    later = rows + cols - earlier
    windows = _windows(offsets[earlier], boxes[earlier], offsets[later], boxes[later])
    result = bits.copy()
    if (windows.widths * windows.heights).sum() <= bits.size:
        _clear_pairs(bits, result, windows)
    else:
        _clear_in_order(result, boxes, offsets, order)
    return result


def _clear_pairs(bits: NDArray[np.uint8], result: NDArray[np.uint8], windows: _Windows) -> None:
    """Take from each later mask the pixels of the earlier: for few overlaps on any size of image.

    The earlier mask is read from the original: what it lost belongs to a still earlier one.
    """
    original, left = bits.view(np.bool_), result.view(np.bool_)
    for corner_a, corner_b, stride_a, stride_b, width, height in zip(
        *(values.tolist() for values in windows), strict=True
    ):
        view = _window(left, corner_b, stride_b, width, height)
        # Of booleans, greater-than is "the first and not the second".
        np.greater(view, _window(original, corner_a, stride_a, width, height), out=view)


def _clear_in_order(
    result: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    order: NDArray[np.int64],
) -> None:
    """Keep an image of what is taken: each mask is looked at once, however many it overlaps."""
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    taken = np.zeros((bottom - top, right - left), np.bool_)
    corners, edges = (boxes - [left, top, left, top]).tolist(), offsets.tolist()
    is_set = result.view(np.bool_)
    for i in order.tolist():
        x0, y0, x1, y1 = corners[i]
        mask = is_set[edges[i] : edges[i + 1]].reshape(y1 - y0, x1 - x0)
        window = taken[y0:y1, x0:x1]
        np.greater(mask, window, out=mask)
        np.logical_or(window, mask, out=window)
