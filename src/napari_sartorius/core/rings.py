"""Outlines along the edges of pixels: polygons from which a mask comes back without a pixel's loss.

Outlines through pixel centres lose half a pixel on each side, and every export and import makes
cells smaller. A line along the pixels' edges encloses exactly the pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

# Steps to the right, down, left and up: a walk with the mask at its right hand (y points down).
_RIGHT = np.array([1, 0, -1, 0])
_DOWN = np.array([0, 1, 0, -1])


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
        Rings around the mask run clockwise on the screen, rings around holes the other way.
    """
    flat, origin, corner, pitch = _padded(masks)
    pixel = np.flatnonzero(flat)
    row = pitch[pixel]
    starts, turns = [], []
    # Each free side of a pixel is a step; vertices are named by the pixel to their lower right.
    zero, one = np.zeros_like(row), np.ones_like(row)
    sides = ((-row, zero), (one, one), (row, row + 1), (-one, row))  # top, right, bottom, left
    for number, (beside, first) in enumerate(sides):
        free = ~flat[pixel + beside]
        starts.append((pixel + first)[free])
        turns.append(np.full(int(free.sum()), number))
    start, turn = np.concatenate(starts), np.concatenate(turns)
    steps = _RIGHT[turn] + _DOWN[turn] * pitch[start]
    following = _following(start, start + steps, turn)

    rings: list[list[Ints]] = [[] for _ in range(len(masks))]
    owner = np.searchsorted(origin, start, side="right") - 1
    place = start - origin[owner]
    x = corner[owner, 0] + place % pitch[start] - 1
    y = corner[owner, 1] + place // pitch[start] - 1
    points = np.stack([x, y], axis=1)
    for ring in _cycles(following, turn):
        rings[int(owner[ring[0]])].append(points[ring])
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


def _padded(masks: CropMasks) -> tuple[NDArray[np.bool_], Ints, Ints, Ints]:
    """All bitmaps with an empty pixel around, back to back.

    Returns the flat pixels, where each mask starts, its corner x and y, and for each pixel how many
    there are in a row of its mask.
    """
    boxes = masks.boxes.astype(np.int64)
    wide, high = boxes[:, 2] - boxes[:, 0] + 2, boxes[:, 3] - boxes[:, 1] + 2
    sizes = wide * high
    origin = np.cumsum(sizes) - sizes
    flat = np.zeros(int(sizes.sum()), bool)
    for i, start in enumerate(origin.tolist()):
        inside = flat[start : start + int(sizes[i])].reshape(high[i], wide[i])
        inside[1:-1, 1:-1] = masks.bitmap(i)
    return flat, origin, boxes[:, :2], np.repeat(wide, sizes)


def _following(start: Ints, end: Ints, turn: Ints) -> Ints:
    """Index of the step after each: to the right where it can, so that corners do not join."""
    key = start * 4 + turn
    order = np.argsort(key)
    ordered = key[order]
    following = np.full(len(start), -1)
    for change in (3, 0, 1):  # left, straight on, right: the last one that exists wins
        wanted = end * 4 + (turn + change) % 4
        place = np.searchsorted(ordered, wanted).clip(max=max(len(ordered) - 1, 0))
        found = ordered[place] == wanted if len(ordered) else np.zeros(0, bool)
        following[found] = order[place[found]]
    return following


def _cycles(following: Ints, turn: Ints) -> list[list[int]]:
    """Walk until every step was taken; of each round trip the steps at whose start it turns."""
    after, direction = following.tolist(), turn.tolist()
    taken = bytearray(len(after))
    cycles = []
    for first in range(len(after)):
        if taken[first]:
            continue
        ring, step, before = [], first, -1
        while not taken[step]:
            taken[step] = 1
            if direction[step] != before:
                ring.append(step)
                before = direction[step]
            step = after[step]
        if direction[first] == before:  # the walk began in the middle of a straight line
            ring = ring[1:]
        cycles.append(ring)
    return cycles


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
