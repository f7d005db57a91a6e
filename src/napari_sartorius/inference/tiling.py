"""Cuts a large image into overlapping tiles so that memory stays bounded and time linear.

All numbers are pixels of the network's input (the rescaled image). Tiles begin at multiples of
the network's stride, so anchors fall on the same places as in the whole image, and all tiles of an
image have one shape, so nothing is compiled or allocated twice.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not much larger than the images that networks are trained on, since the number of proposals and
# objects per tile is limited; larger tiles would also answer Cancel later.
_LARGEST_TILE = 768
# An image up to this much larger than a tile is still done whole: two tiles would cost more.
_WHOLE_UP_TO = 1.25


@dataclass(frozen=True)
class Rectangle:
    """Pixels y0 <= y < y1 and x0 <= x < x1."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.y1 - self.y0, self.x1 - self.x0

    def intersection(self, other: Rectangle) -> Rectangle | None:
        """Pixels in both, or None."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        y1, x1 = min(self.y1, other.y1), min(self.x1, other.x1)
        return Rectangle(y0, x0, y1, x1) if y0 < y1 and x0 < x1 else None

    def moved(self, dy: int, dx: int) -> Rectangle:
        """Return the same pixels where the origin lies `dy` higher and `dx` further left."""
        return Rectangle(self.y0 + dy, self.x0 + dx, self.y1 + dy, self.x1 + dx)


@dataclass(frozen=True)
class Tile:
    """One piece of an image.

    Attributes
    ----------
    window
        What the network sees of the image.
    core
        The part inside `window` that this tile answers for; the cores of all tiles partition the
        image.
    inner
        Whether the (top, left, bottom, right) side of the window cuts through the image.
    closer
        Whether it comes from a tile in which a limit was reached: it has the limits of a whole
        image, to find more.
    """

    window: Rectangle
    core: Rectangle
    inner: tuple[bool, bool, bool, bool]
    closer: bool = False

    @property
    def is_part(self) -> bool:
        """Whether it is to be looked at as the part of a larger image that it is."""
        return any(self.inner) and not self.closer


@dataclass(frozen=True)
class TilePlan:
    """All tiles of one image.

    Attributes
    ----------
    image_size
        (height, width) of the network's input image.
    tiles
        Row by row.
    padded
        (height, width) of the batch that each tile is put into, multiples of the stride.
    """

    image_size: tuple[int, int]
    tiles: tuple[Tile, ...]
    padded: tuple[int, int]


def plan_tiles(
    image_size: tuple[int, int], largest: tuple[int, int], overlap: int, stride: int
) -> TilePlan:
    """Lay tiles of equal shape over an image.

    Parameters
    ----------
    image_size : (height, width)
        Size of the network's input image, at least 1 x 1.
    largest : (height, width)
        Tiles are not larger than this (rounded down to the stride, at least two strides).
    overlap : int
        Neighbouring tiles share at least this many pixels, but never more than half a tile.
    stride : int
        Tiles begin and end at its multiples; only the image's end may cut a window short.
    """
    rows, height = _plan_axis(image_size[0], largest[0], overlap, stride)
    columns, width = _plan_axis(image_size[1], largest[1], overlap, stride)
    tiles = [
        Tile(
            Rectangle(y.start, x.start, y.stop, x.stop),
            Rectangle(y.core_start, x.core_start, y.core_stop, x.core_stop),
            (
                y.start > 0,
                x.start > 0,
                y.stop < image_size[0],
                x.stop < image_size[1],
            ),
        )
        for y in rows
        for x in columns
    ]
    return TilePlan(image_size, tuple(tiles), (height, width))


def split_tile(tile: Tile, overlap: int, stride: int, smallest: int) -> TilePlan | None:
    """Cut a tile into two overlapping parts along each axis that is long enough: mostly four.

    Parameters
    ----------
    tile
        Its window begins at a multiple of the stride.
    overlap, stride : int
        As in `plan_tiles`.
    smallest : int
        An axis whose halves, with `overlap`, would be shorter than this is not cut. (A larger
        overlap than half of this shortens the parts a little, as `plan_tiles` limits it.)

    Returns
    -------
    TilePlan
        Parts that cover the tile's window and partition its core, in pixels of the image; None
        when the tile is too small to be cut.
    """
    window, core = tile.window, tile.core
    height, width = (_half(n, overlap, stride, smallest) for n in window.shape)
    plan = plan_tiles(window.shape, (height, width), overlap, stride)
    if len(plan.tiles) == 1:
        return None
    parts = []
    for part in plan.tiles:
        own = core.intersection(part.core.moved(window.y0, window.x0))
        if own is not None:
            # Where a part does not end inside the tile it ends where the tile does.
            top, left, bottom, right = (a or b for a, b in zip(part.inner, tile.inner, strict=True))
            inside = part.window.moved(window.y0, window.x0)
            parts.append(Tile(inside, own, (top, left, bottom, right), closer=True))
    return TilePlan(window.shape, tuple(parts), plan.padded)


def largest_tile(budget: int, bytes_per_pixel: float, stride: int) -> int:
    """Edge of the largest square tile whose activations fit in `budget` bytes."""
    edge = int((max(budget, 0) / bytes_per_pixel) ** 0.5)
    return max(2 * stride, min(_LARGEST_TILE, edge) // stride * stride)


def automatic_limits(
    image_size: tuple[int, int], edge: int, budget_edge: int, whole: int = 0
) -> tuple[int, int]:
    """Tile limits for an image: whole when it is not much larger than a tile and memory allows.

    Parameters
    ----------
    image_size : (height, width)
        Size of the network's input image.
    edge : int
        Preferred edge of a tile.
    budget_edge : int
        Edge of the largest square that memory allows, not limited by preference.
    whole : int
        Images of up to this many pixels are done whole as well, because the network was trained
        on whole images of that size.
    """
    height, width = image_size
    small = height * width <= max((edge * _WHOLE_UP_TO) ** 2, whole)
    if small and height * width <= budget_edge**2:
        return image_size
    return edge, edge


@dataclass(frozen=True)
class _Span:
    start: int
    stop: int
    core_start: int
    core_stop: int


def _plan_axis(length: int, largest: int, overlap: int, stride: int) -> tuple[list[_Span], int]:
    """Spans along one axis and the padded length they all share."""
    whole = _round_up(length, stride)
    if length <= largest:
        return [_Span(0, length, 0, length)], whole
    largest = max(largest // stride, 2) * stride
    if whole <= largest:
        return [_Span(0, length, 0, length)], whole
    shared = min(_round_up(max(overlap, 1), stride), largest // 2 // stride * stride)
    # Even steps: as many as the largest tile needs, each as short as the image allows.
    count = -(-(whole - shared) // (largest - shared))
    step = _round_up(-(-(whole - shared) // count), stride)
    count = -(-(whole - shared) // step)
    size = step + shared
    # The last tile moves back to the image's end: more context instead of padding.
    starts = [min(i * step, whole - size) for i in range(count)]
    cuts = [0, *(_middle(a + size, b) for a, b in _pairs(starts)), length]
    spans = [
        _Span(start, min(start + size, length), low, high)
        for start, (low, high) in zip(starts, _pairs(cuts), strict=True)
    ]
    return spans, size


def _half(length: int, overlap: int, stride: int, smallest: int) -> int:
    """Length of the two parts of an axis, or the axis itself when they would be too short."""
    half = _round_up(-(-(length + _round_up(max(overlap, 1), stride)) // 2), stride)
    return half if smallest <= half < length else length


def _middle(end: int, start: int) -> int:
    return (end + start) // 2


def _pairs(values: list[int]) -> Iterator[tuple[int, int]]:
    return itertools.pairwise(values)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
