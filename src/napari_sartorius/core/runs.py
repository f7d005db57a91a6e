"""Bitmaps as runs of set pixels along their lines: the common ground of every run-length code.

A line is a row of a bitmap, or a column when the buffer was transposed first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Runs(NamedTuple):
    """Runs of set pixels, ordered by mask, line and start.

    All four are (R,) int64: the mask a run belongs to, its line, its first pixel along the line
    and one past its last.
    """

    instance: NDArray[np.int64]
    line: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]


def runs_of_bits(
    bits: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    line_lengths: NDArray[np.int64],
    origins: NDArray[np.int64],
) -> Runs:
    """Find the runs of bitmaps that lie back to back in a flat buffer.

    Parameters
    ----------
    bits : (total,) uint8
        0 or 1, line after line.
    offsets : (N + 1,) int64
        Where each bitmap starts in `bits`.
    line_lengths : (N,) int64
        Pixels per line of each bitmap.
    origins : (N, 2) int64
        First line and first position along the line of each bitmap, added to the result.
    """
    is_set = bits.view(np.bool_)
    line_counts = np.diff(offsets) // np.maximum(line_lengths, 1)
    line_starts = np.repeat(offsets[:-1], line_counts)
    within = np.arange(len(line_starts)) - np.repeat(
        np.cumsum(line_counts) - line_counts, line_counts
    )
    repeated_lengths = np.repeat(line_lengths, line_counts)
    line_starts += within * repeated_lengths
    line_ends = line_starts + repeated_lengths - 1

    edge = is_set.copy()
    edge[1:] &= ~is_set[:-1]
    edge[line_starts] = is_set[line_starts]
    starts = np.flatnonzero(edge)
    edge[:] = is_set
    edge[:-1] &= ~is_set[1:]
    edge[line_ends] = is_set[line_ends]
    stops = np.flatnonzero(edge)
    stops += 1

    instance = np.searchsorted(offsets, starts, side="right") - 1
    starts -= offsets[instance]
    stops -= offsets[instance]
    lengths = line_lengths[instance]
    line = starts // lengths
    starts -= line * lengths
    stops -= line * lengths
    first = origins[instance]
    return Runs(instance, line + first[:, 0], starts + first[:, 1], stops + first[:, 1])


def bits_of_runs(runs: Runs, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw runs into bitmaps with the smallest boxes that hold them.

    Parameters
    ----------
    runs : Runs
        Ordered by mask; runs of one mask must not overlap each other.
    count : int
        Number of masks N; a mask without runs gets an empty bitmap and a box of zeros.

    Returns
    -------
    bits : (total,) uint8
        Line after line.
    extents : (N, 4) int32
        First line, first position, one past the last line, one past the last position.
    """
    extents = np.zeros((count, 4), np.int32)
    per_mask = np.bincount(runs.instance, minlength=count)
    filled = np.flatnonzero(per_mask)
    if filled.size:
        firsts = (np.cumsum(per_mask) - per_mask)[filled]
        extents[filled, 0] = np.minimum.reduceat(runs.line, firsts)
        extents[filled, 1] = np.minimum.reduceat(runs.start, firsts)
        extents[filled, 2] = np.maximum.reduceat(runs.line, firsts) + 1
        extents[filled, 3] = np.maximum.reduceat(runs.stop, firsts)
    wide = extents.astype(np.int64)
    lengths = wide[:, 3] - wide[:, 1]
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum((wide[:, 2] - wide[:, 0]) * lengths, out=offsets[1:])

    base = offsets[runs.instance] + (runs.line - wide[runs.instance, 0]) * lengths[runs.instance]
    base -= wide[runs.instance, 1]
    # +1 where a run starts, -1 where it stops; where one run ends as the next begins, they cancel.
    steps = np.zeros(int(offsets[-1]) + 1, np.int8)
    steps[base + runs.start] += 1
    steps[base + runs.stop] -= 1
    np.cumsum(steps, out=steps)
    return steps[:-1].view(np.uint8), extents


def split_at_line_ends(
    instance: NDArray[np.int64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    line_length: int,
) -> Runs:
    """Cut runs given as flat positions in an image into pieces that stay on one line.

    `start` and `stop` are (R,) int64 positions with start < stop; `line_length` is the number of
    pixels of an image line.
    """
    first = start // line_length
    last = (stop - 1) // line_length
    pieces = last - first + 1
    if pieces.size and pieces.max() > 1:
        instance = np.repeat(instance, pieces)
        within = np.arange(len(instance)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        line = np.repeat(first, pieces) + within
        start = np.maximum(np.repeat(start, pieces), line * line_length)
        stop = np.minimum(np.repeat(stop, pieces), (line + 1) * line_length)
    else:
        line = first
    return Runs(instance, line, start - line * line_length, stop - line * line_length)


def join_at_line_ends(
    runs: Runs, line_length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (instance, start, stop) as flat positions; runs that meet are joined."""
    start = runs.line * line_length + runs.start
    stop = runs.line * line_length + runs.stop
    if not start.size:
        return runs.instance, start, stop
    new = np.ones(len(start), np.bool_)
    new[1:] = (start[1:] != stop[:-1]) | (runs.instance[1:] != runs.instance[:-1])
    last = np.append(np.flatnonzero(new)[1:], len(start)) - 1
    return runs.instance[new], start[new], stop[last]
