"""Run-length codes of the COCO tools and of Kaggle tables, for many masks in one pass.

COCO numbers pixels column by column and alternates counts of unset and set pixels; its compressed
form writes each count, from the fourth on as the difference to the one two places before, in
groups of five bits per character. Kaggle numbers pixels row by row from 1 and lists pairs of start
and length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_FIRST_CHARACTER = 48


def counts_of_runs(
    instance: NDArray[np.int64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    count: int,
    total: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return alternating counts of unset and set pixels of all masks, and how many each has.

    Parameters
    ----------
    instance, start, stop : (R,) int64
        Runs as flat positions, ordered, not touching each other.
    count : int
        Number of masks N.
    total : int
        Pixels of the image.

    Returns
    -------
    counts : (C,) int64
        Counts of all masks one after the other; they sum to `total` for each mask.
    lengths : (N,) int64
        Number of counts per mask.
    """
    runs = np.bincount(instance, minlength=count)
    last = np.cumsum(runs) - 1
    end = np.zeros(count, np.int64)
    end[runs > 0] = stop[last[runs > 0]]
    # A mask that covers the last pixel has no count of unset pixels behind it.
    has_tail = (end < total) | (runs == 0)
    lengths = 2 * runs + has_tail
    counts = np.zeros(int(lengths.sum()), np.int64)
    first = np.cumsum(lengths) - lengths
    place = first[instance] + 2 * (np.arange(len(instance)) - (np.cumsum(runs) - runs)[instance])
    before = np.zeros_like(start)
    before[1:] = np.where(instance[1:] == instance[:-1], stop[:-1], 0)
    counts[place] = start - before
    counts[place + 1] = stop - start
    counts[(first + lengths - 1)[has_tail]] = (total - end)[has_tail]
    return counts, lengths


def compress(counts: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
    """Write counts (see `counts_of_runs`) as compressed COCO strings, one per mask."""
    if not len(lengths):
        return []
    first = np.cumsum(lengths) - lengths
    within = np.arange(len(counts)) - np.repeat(first, lengths)
    values = counts.copy()
    late = np.flatnonzero(within > 2)
    values[late] -= counts[late - 2]

    digits: list[NDArray[np.uint8]] = []
    used: list[NDArray[np.bool_]] = []
    going = np.ones(len(values), np.bool_)
    while going.any():
        low = values & 0x1F
        values >>= 5
        more = np.where(low & 0x10, values != -1, values != 0)
        digits.append((low + np.where(more, 0x20, 0) + _FIRST_CHARACTER).astype(np.uint8))
        used.append(going)
        going = going & more
    flags = np.stack(used, axis=1)
    text = np.stack(digits, axis=1)[flags].tobytes().decode("ascii")
    ends = np.cumsum(np.add.reduceat(flags.sum(axis=1), first)).tolist()
    return [text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def decompress(
    strings: Sequence[str | bytes],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read compressed COCO strings; the inverse of `compress`.

    Raises
    ------
    UserError
        If a string holds characters that the code does not use or ends in the middle of a count.
    """
    encoded = [s if isinstance(s, bytes) else s.encode("utf-8") for s in strings]
    lengths = np.array([len(s) for s in encoded], np.int64)
    code = np.frombuffer(b"".join(encoded), np.uint8).astype(np.int64) - _FIRST_CHARACTER
    ends = np.cumsum(lengths)
    bad = np.flatnonzero((code < 0) | (code > 0x3F))
    if bad.size:
        mask = int(np.searchsorted(ends, bad[0], side="right"))
        raise UserError(_broken(mask, "it holds a character that compressed RLE does not use"))
    filled = lengths > 0
    is_last = (code & 0x20) == 0
    unfinished = np.flatnonzero(~is_last[ends[filled] - 1])
    if unfinished.size:
        mask = int(np.flatnonzero(filled)[unfinished[0]])
        raise UserError(_broken(mask, "it ends in the middle of a number"))

    last = np.flatnonzero(is_last)
    first = np.empty_like(last)
    first[:1] = 0
    first[1:] = last[:-1] + 1
    digits = last - first + 1
    if digits.size and digits.max() > 12:
        mask = int(np.searchsorted(ends, last[np.argmax(digits)], side="right"))
        raise UserError(_broken(mask, "it holds a number that is too large"))
    place = np.arange(len(code)) - np.repeat(first, digits)
    values = (
        np.add.reduceat((code & 0x1F) << (5 * place), first)
        if first.size
        else np.zeros(0, np.int64)
    )
    values -= np.where(code[last] & 0x10, np.int64(1) << (5 * digits), 0)

    per_mask = np.bincount(np.searchsorted(ends, last, side="right"), minlength=len(encoded))
    return _undo_differences(values, per_mask), per_mask


def _undo_differences(values: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add to each count, from the fourth of its mask on, the one two places before."""
    sums = values.copy()
    sums[0::2] = np.cumsum(values[0::2])
    sums[1::2] = np.cumsum(values[1::2])
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    within = np.arange(len(values)) - first
    # Both chains of a mask (second, fourth, ... and third, fifth, ...) start from nothing: take
    # off what the masks before had summed up, which for the third includes the first count.
    base = np.where(within % 2 == 1, first - 1, first)
    taken = np.where(base >= 0, sums[base], 0)
    return np.where(within == 0, values, sums - taken)


def read_coco(
    rles: Sequence[Mapping[str, Any]], image_size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (instance, start, stop) of the runs of COCO RLE dicts, as column-major positions.

    Parameters
    ----------
    rles : sequence of dict
        ``{"size": [height, width], "counts": str | bytes | list of int}``.
    image_size : (height, width)
        What the dicts must agree with.

    Raises
    ------
    UserError
        If a dict lacks a key, has another size, or its counts do not add up to the image.
    """
    total = image_size[0] * image_size[1]
    listed: dict[int, list[int]] = {}
    strings: list[str | bytes] = []
    for i, rle in enumerate(rles):
        try:
            size, counts = tuple(int(v) for v in rle["size"]), rle["counts"]
        except (KeyError, TypeError, ValueError):
            raise UserError(_broken(i, "it needs the keys 'size' and 'counts'")) from None
        if size != tuple(image_size):
            raise UserError(
                _broken(i, f"its size is {list(size)} but the image is {list(image_size)}")
            )
        if isinstance(counts, str | bytes):
            strings.append(counts)
        else:
            listed[i] = counts
            strings.append(b"")
    counts, lengths = decompress(strings)
    if listed:
        counts, lengths = _with_lists(counts, lengths, listed)
    sums = np.zeros(len(rles), np.int64)
    instance = np.repeat(np.arange(len(rles)), lengths)
    np.add.at(sums, instance, counts)
    wrong = np.flatnonzero(sums != total)
    if wrong.size:
        i = int(wrong[0])
        raise UserError(
            _broken(i, f"its counts add up to {sums[i]} pixels but the image has {total}")
        )
    if counts.size and counts.min() < 0:
        raise UserError(_broken(int(instance[np.argmin(counts)]), "it holds a negative count"))
    stop = np.cumsum(counts) - instance * total
    within = np.arange(len(counts)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    keep = (within % 2 == 1) & (counts > 0)
    return instance[keep], (stop - counts)[keep], stop[keep]


def _with_lists(
    counts: NDArray[np.int64], lengths: NDArray[np.int64], listed: dict[int, list[int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Insert the uncompressed counts of some masks among the decoded ones of the others."""
    pieces = np.split(counts, np.cumsum(lengths)[:-1])
    for i, values in listed.items():
        try:
            numbers = np.asarray(values, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError):
            raise UserError(_broken(i, "its counts are not whole numbers")) from None
        if not np.all(np.abs(numbers) < 2**53) or np.any(numbers != np.trunc(numbers)):
            raise UserError(_broken(i, "its counts are not whole numbers"))
        pieces[i] = numbers.astype(np.int64)
    return np.concatenate(pieces), np.array([len(p) for p in pieces], np.int64)


def write_kaggle(
    instance: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64], count: int
) -> list[str]:
    """Write runs given as row-major positions as ``"start length start length ..."``, from 1."""
    if not count:
        return []
    numbers = np.stack([start + 1, stop - start], axis=1).reshape(-1).tolist()
    ends = (2 * np.cumsum(np.bincount(instance, minlength=count))).tolist()
    return [" ".join(map(str, numbers[a:b])) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def read_kaggle(
    texts: Sequence[str], image_size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (instance, start, stop) of the runs of Kaggle strings, as row-major positions.

    Runs may come in any order and overlap; they are joined. An empty string is an empty mask.

    Raises
    ------
    UserError
        If a string does not hold pairs of whole numbers or a run leaves the image.
    """
    total = image_size[0] * image_size[1]
    pieces = []
    for i, text in enumerate(texts):
        try:
            piece = np.array(text.split(), dtype=np.int64)
        except (ValueError, OverflowError):
            raise UserError(_broken(i, "it is not a list of whole numbers")) from None
        if piece.size % 2:
            raise UserError(_broken(i, "it is not a list of pairs of start and length"))
        pieces.append(piece)
    lengths = np.array([len(p) // 2 for p in pieces], np.int64)
    instance = np.repeat(np.arange(len(pieces)), lengths)
    pairs = np.concatenate([np.zeros(0, np.int64), *pieces]).reshape(-1, 2)
    start, stop = pairs[:, 0] - 1, pairs[:, 0] - 1 + pairs[:, 1]
    wrong = np.flatnonzero((start < 0) | (pairs[:, 1] < 0) | (stop > total))
    if wrong.size:
        i = int(instance[wrong[0]])
        raise UserError(
            _broken(
                i,
                f"a run lies outside the image, which has {image_size[0]} rows of "
                f"{image_size[1]} pixels",
            )
        )
    some = stop > start
    # One long axis for all masks, so that runs can be joined by a running maximum.
    start = (start + instance * total)[some]
    stop = (stop + instance * total)[some]
    order = np.argsort(start, kind="stable")
    start, instance = start[order], instance[some][order]
    reach = np.maximum.accumulate(stop[order])
    new = np.ones(len(start), np.bool_)
    new[1:] = (start[1:] > reach[:-1]) | (instance[1:] != instance[:-1])
    last = np.append(np.flatnonzero(new)[1:], len(start))[: int(new.sum())] - 1
    base = instance[new] * total
    return instance[new], start[new] - base, reach[last] - base


def _broken(mask: int, what: str) -> str:
    return f"The run-length code of mask {mask + 1} cannot be read: {what}."
