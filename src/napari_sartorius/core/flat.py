"""Arithmetic on bitmaps that lie back to back in one flat buffer.

The functions speak of three arrays: `bits` (flat uint8 of 0 and 1, row-major bitmaps one after
the other), `boxes` ((N, 4) int32 xyxy, exclusive right and bottom) and `offsets` ((N + 1,) int64
into bits). A bitmap may have no pixels at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    Index = int | slice | ArrayLike

# Pixels looked at in one go: temporary index arrays are eight times as large, so 8 to 60 MB.
CHUNK_PIXELS = 1 << 20


def offsets_of(boxes: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return where each bitmap starts, and the total, as (N + 1,) int64."""
    wide = boxes.astype(np.int64)
    offsets = np.zeros(len(boxes) + 1, np.int64)
    np.cumsum((wide[:, 2] - wide[:, 0]) * (wide[:, 3] - wide[:, 1]), out=offsets[1:])
    return offsets


def chunks(offsets: NDArray[np.int64], limit: int = CHUNK_PIXELS) -> Iterator[tuple[int, int]]:
    """Yield consecutive ranges of bitmaps that hold at most `limit` pixels (or one bitmap)."""
    start, count = 0, len(offsets) - 1
    while start < count:
        stop = int(np.searchsorted(offsets, offsets[start] + limit, side="right")) - 1
        stop = min(max(stop, start + 1), count)
        yield start, stop
        start = stop


def areas(bits: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of set pixels of each bitmap, (N,) int64."""
    result = np.zeros(len(offsets) - 1, np.int64)
    for start, stop in chunks(offsets):
        # reduceat returns the element at the start for an empty segment, so those are left out.
        filled = start + np.flatnonzero(np.diff(offsets[start : stop + 1]))
        if filled.size:
            portion = bits[offsets[start] : offsets[stop]]
            result[filled] = np.add.reduceat(
                portion, offsets[filled] - offsets[start], dtype=np.int64
            )
    return result


def chosen(index: Index, count: int) -> NDArray[np.int64]:
    """Return the positions among `count` that an int, slice, int array or bool array names."""
    if isinstance(index, slice):
        return np.arange(count)[index]
    wanted = np.atleast_1d(np.asarray(index))
    if not wanted.size and wanted.dtype.kind != "b":
        return np.zeros(0, np.int64)
    if wanted.ndim != 1 or wanted.dtype.kind not in "bui":
        raise IndexError(f"expected an int, a slice or a list of these, got {index!r}")
    positions: NDArray[np.int64] = np.arange(count)[wanted]
    return positions


class SetPixels(NamedTuple):
    """Coordinates of every set pixel of bitmaps `first` to `first + len(counts) - 1`.

    `instance`, `y` and `x` are (P,) int64 in image pixels, ordered by bitmap, row, column;
    `counts` (number of set pixels per bitmap) is (bitmaps,) int64.
    """

    first: int
    counts: NDArray[np.int64]
    instance: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]


def set_pixels(
    bits: NDArray[np.uint8], boxes: NDArray[np.int32], offsets: NDArray[np.int64]
) -> Iterator[SetPixels]:
    """Yield the coordinates of all set pixels, a bounded number of bitmaps at a time."""
    for start, stop in chunks(offsets):
        low = offsets[start]
        where = np.flatnonzero(bits[low : offsets[stop]])
        counts = areas(bits[low : offsets[stop]], offsets[start : stop + 1] - low)
        instance = np.repeat(np.arange(start, stop), counts)
        box = boxes[start:stop].astype(np.int64)
        where -= np.repeat(offsets[start:stop] - low, counts)
        y, x = np.divmod(where, np.repeat(box[:, 2] - box[:, 0], counts))
        y += np.repeat(box[:, 1], counts)
        x += np.repeat(box[:, 0], counts)
        yield SetPixels(start, counts, instance, y, x)


def tight_boxes(
    bits: NDArray[np.uint8], boxes: NDArray[np.int32], offsets: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return the smallest boxes around the set pixels, (N, 4) int32 xyxy; zeros where none is."""
    result = np.zeros((len(boxes), 4), np.int32)
    for pixels in set_pixels(bits, boxes, offsets):
        filled = np.flatnonzero(pixels.counts)
        if not filled.size:
            continue
        ends = np.cumsum(pixels.counts)[filled]
        starts = ends - pixels.counts[filled]
        rows = filled + pixels.first
        result[rows, 0] = np.minimum.reduceat(pixels.x, starts)
        result[rows, 2] = np.maximum.reduceat(pixels.x, starts) + 1
        # Rows come in order, so the first and last pixel tell.
        result[rows, 1] = pixels.y[starts]
        result[rows, 3] = pixels.y[ends - 1] + 1
    return result


def gather(
    bits: NDArray[np.uint8], offsets: NDArray[np.int64], index: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return the buffer of the bitmaps `index` (in that order)."""
    if not index.size:
        return np.zeros(0, np.uint8)
    if np.all(np.diff(index) == 1):
        return bits[offsets[index[0]] : offsets[index[-1] + 1]]
    starts, stops = offsets[index].tolist(), offsets[index + 1].tolist()
    # Joining slices moves whole bitmaps; an index per pixel would cost eight times the memory.
    return np.concatenate([bits[a:b] for a, b in zip(starts, stops, strict=True)])


def cut(
    bits: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    inner: NDArray[np.int32],
) -> NDArray[np.uint8]:
    """Return the buffer of the same bitmaps cut to `inner`, boxes that lie inside `boxes`."""
    result = np.zeros(int(offsets_of(inner)[-1]), np.uint8)
    position = 0
    for (left, top, right, bottom), (x0, y0, x1, y1), start in zip(
        boxes.tolist(), inner.tolist(), offsets.tolist(), strict=False
    ):
        size = (x1 - x0) * (y1 - y0)
        if not size:
            continue
        stop = start + (right - left) * (bottom - top)
        bitmap = bits[start:stop].reshape(bottom - top, right - left)
        result[position : position + size].reshape(y1 - y0, x1 - x0)[...] = bitmap[
            y0 - top : y1 - top, x0 - left : x1 - left
        ]
        position += size
    return result


def transposed(
    bits: NDArray[np.uint8], boxes: NDArray[np.int32], offsets: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return the buffer with every bitmap transposed, so that columns become rows."""
    return _rearranged(bits, boxes, offsets, lambda bitmap: bitmap.T)


def flipped_horizontally(
    bits: NDArray[np.uint8], boxes: NDArray[np.int32], offsets: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return the buffer with the columns of every bitmap in reverse order."""
    return _rearranged(bits, boxes, offsets, lambda bitmap: bitmap[:, ::-1])


def flipped_vertically(
    bits: NDArray[np.uint8], boxes: NDArray[np.int32], offsets: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return the buffer with the rows of every bitmap in reverse order."""
    return _rearranged(bits, boxes, offsets, lambda bitmap: bitmap[::-1])


def _rearranged(
    bits: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    view: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    result = np.empty_like(bits)
    heights = (boxes[:, 3] - boxes[:, 1]).tolist()
    widths = (boxes[:, 2] - boxes[:, 0]).tolist()
    edges = offsets.tolist()
    for height, width, start, stop in zip(heights, widths, edges, edges[1:], strict=False):
        source = view(bits[start:stop].reshape(height, width))
        result[start:stop].reshape(source.shape)[...] = source
    return result
