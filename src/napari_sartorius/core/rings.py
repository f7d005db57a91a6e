"""Outlines along the edges of pixels: polygons from which a mask comes back without a pixel's loss.

Outlines through pixel centres lose half a pixel on each side, and every export and import makes
cells smaller. A line along the pixels' edges encloses exactly the pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.runs import runs_of_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

Ints: TypeAlias = NDArray[np.int64]


def rings_of(masks: CropMasks) -> list[list[Ints]]:
    """Trace all masks along their pixels' edges.

    Parameters
    ----------
    masks
        N masks. Pixels that touch at a corner only are traced as separate parts.

    Returns
    -------
    list of N lists of (K, 2) int64
        Corners x, y of each closed ring in pixel edge coordinates, without repeating the first.
        Rings around the mask run clockwise on the screen, rings around holes the other way; each
        begins at the left end of its topmost line, and they are in the order of these points.
    """
    rings: list[list[Ints]] = [[] for _ in range(len(masks))]
    walls = _walls(masks)
    left, right = _links(walls)
    if not len(left):
        return rings
    # A wall that runs up is left at its top, one that runs down at its bottom; a link leads from
    # where one wall is left to where the next is entered.
    rightwards = walls.is_exit[left]
    come, go = np.where(rightwards, left, right), np.where(rightwards, right, left)
    link_after = np.empty(len(left), np.int64)
    link_after[walls.number[come]] = np.arange(len(left))
    first, rank = _cycles(link_after[walls.number[go]], rightwards)

    length = np.bincount(first, minlength=len(left))
    firsts = np.flatnonzero(length)
    place = (np.cumsum(length) - length)[first] + rank
    points = np.empty((len(left), 2, 2), np.int64)
    points[place, 0], points[place, 1] = walls.corner[come], walls.corner[go]
    corners = points.reshape(-1, 2)
    stops = 2 * np.cumsum(length[firsts])
    begin = 0
    for mask, stop in zip(walls.mask[left[firsts]].tolist(), stops.tolist(), strict=True):
        rings[mask].append(corners[begin:stop])
        begin = stop
    return rings


def masks_of(
    rings: Sequence[Sequence[NDArray[np.generic]]], image_size: tuple[int, int]
) -> CropMasks:
    """Fill rings: the pixels whose centres are inside, by the even-odd rule.

    Parameters
    ----------
    rings
        For each of N objects its closed rings, (K, 2) x and y in pixel edge coordinates; what lies
        inside an even number of them is a hole. Parts outside the image are cut off.
    image_size
        Height and width.
    """
    bitmaps, origins = [], []
    for parts in rings:
        bitmap, origin = _filled([np.asarray(part, np.float64) for part in parts], image_size)
        bitmaps.append(bitmap)
        origins.append(origin)
    places = np.array(origins, np.int64).reshape(-1, 2)
    return CropMasks.from_bitmaps(bitmaps, places, image_size)


def ring_area(ring: NDArray[np.generic]) -> float:
    """Signed area of a ring: above 0 where it runs clockwise on the screen, around the mask."""
    x, y = ring[:, 0].astype(np.float64), ring[:, 1].astype(np.float64)
    return float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2


def with_holes(rings: Sequence[Ints]) -> list[list[Ints]]:
    """Sort the rings of one mask into parts, each an outer ring followed by its holes."""
    outer = sorted((ring for ring in rings if ring_area(ring) > 0), key=ring_area)
    parts: list[list[Ints]] = [[ring] for ring in outer]
    for ring in rings:
        if ring_area(ring) < 0:
            next(part for part in parts if len(parts) == 1 or _encloses(part[0], ring)).append(ring)
    return parts


class _Walls(NamedTuple):
    """Both ends of the M straight vertical pieces of all outlines, 2 M in no order.

    Attributes
    ----------
    number
        The piece that an end belongs to.
    mask
        The mask that it belongs to.
    corner
        (2 M, 2) x and y in pixel edge coordinates.
    place
        Ascending by mask, y and x. Where two pixels touch at a corner only, the end that is linked
        to the left comes before the one that is linked to the right.
    is_exit
        Whether a walk with the mask at its right hand leaves the piece here.
    """

    number: Ints
    mask: Ints
    corner: Ints
    place: Ints
    is_exit: NDArray[np.bool_]


def _walls(masks: CropMasks) -> _Walls:
    boxes = masks.boxes.astype(np.int64)
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    rows = runs_of_bits(masks.bits, masks.offsets, wide, np.zeros((len(masks), 2), np.int64))
    mask = np.repeat(rows.instance, 2)
    x = np.stack([rows.start, rows.stop], axis=1).reshape(-1)
    y = np.repeat(rows.line, 2)
    upwards = np.zeros(len(x), np.bool_)
    upwards[::2] = True  # at the left side of a run the mask is to the right of the way up

    # The grid of all corners of a mask, with a line above and below, back to back for all masks.
    sizes = (wide + 1) * (high + 3)
    origin, pitch = (np.cumsum(sizes) - sizes)[mask], (wide + 1)[mask]
    at = origin + (y + 1) * pitch + x
    sides = np.zeros(int(sizes.sum()), np.int8)
    direction = np.where(upwards, np.int8(1), np.int8(-1))
    sides[at] = direction
    top = np.flatnonzero(sides[at - pitch] != direction)
    bottom = np.flatnonzero(sides[at + pitch] != direction)
    # Down a column of corners every piece has its top and then its bottom.
    column = origin + x * (high + 3)[mask] + y
    top, bottom = top[np.argsort(column[top])], bottom[np.argsort(column[bottom])]

    end = np.concatenate([top, bottom])
    below = np.repeat([0, 1], len(top))
    corner = np.stack([x[end], y[end] + below], axis=1) + boxes[mask[end], :2]
    place = 2 * (at[end] + below * pitch[end]) + upwards[end]
    number = np.tile(np.arange(len(top)), 2)
    return _Walls(number, mask[end], corner, place, upwards[end] == (below == 0))


def _links(walls: _Walls) -> tuple[Ints, Ints]:
    """Left and right end of each horizontal piece, ascending by mask, y and x.

    Along a line of corners every piece has its left end and then its right one.
    """
    order = np.argsort(walls.place)
    return order[::2], order[1::2]


def _cycles(following: Ints, may_begin: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """For each member of a permutation where its cycle begins and how far behind that it comes.

    A cycle begins with the lowest of its members that may. The distance looked over doubles in
    each round, so the number of rounds is the logarithm of the longest cycle's length.
    """
    count = len(following)
    first, jump = np.where(may_begin, np.arange(count), count), following
    while True:
        found = np.minimum(first, first[jump])
        if np.array_equal(found, first):
            break
        first, jump = found, jump[jump]

    is_last = first == following  # the step after it is the first one
    jump = np.where(is_last, np.arange(count), following)
    left = np.where(is_last, 0, 1)
    while (more := left[jump]).any():
        left += more
        jump = jump[jump]
    return first, left[first] - left


def _filled(
    rings: list[NDArray[np.float64]], image_size: tuple[int, int]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Bitmap of one object and its corner (x, y)."""
    points = np.concatenate(rings) if rings else np.zeros((0, 2))
    if not len(points):
        return np.zeros((0, 0), bool), (0, 0)
    height, width = image_size
    x0, y0 = np.clip(np.floor(points.min(axis=0)), 0, [width, height]).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(points.max(axis=0)), [x0, y0], [width, height]).astype(int).tolist()
    toggles = np.zeros((y1 - y0, x1 - x0 + 1), bool)
    for ring in rings:
        begin, end = ring, np.roll(ring, -1, axis=0)
        # A line of pixel centres at row + 0.5 crosses an edge when its ends lie on both sides.
        low = np.ceil(np.minimum(begin[:, 1], end[:, 1]) - 0.5).astype(int).clip(y0, y1)
        high = np.ceil(np.maximum(begin[:, 1], end[:, 1]) - 0.5).astype(int).clip(y0, y1)
        count = high - low
        edge = np.repeat(np.arange(len(ring)), count)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + low[edge]
        share = (row + 0.5 - begin[edge, 1]) / (end[edge, 1] - begin[edge, 1])
        x = begin[edge, 0] + share * (end[edge, 0] - begin[edge, 0])
        column = np.ceil(x - 0.5).astype(int).clip(x0, x1) - x0
        np.logical_xor.at(toggles, (row - y0, column), True)
    return np.logical_xor.accumulate(toggles, axis=1)[:, :-1], (x0, y0)


def _encloses(outer: Ints, ring: Ints) -> bool:
    """Whether a ring lies within another one; they have no pixel edge in common."""
    # a point just inside the hole's first corner, off every pixel edge
    corner, after = ring[0].astype(float), ring[1].astype(float)
    ahead = np.sign(after - corner)
    point = corner + 0.5 * ahead + 0.25 * np.array([-ahead[1], ahead[0]])
    begin, end = outer.astype(float), np.roll(outer, -1, axis=0).astype(float)
    crossed = (begin[:, 1] > point[1]) != (end[:, 1] > point[1])
    at = begin[crossed, 0]  # edges that cross a horizontal line are vertical
    return bool((at > point[0]).sum() % 2)
