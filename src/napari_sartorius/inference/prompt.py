"""What a person points at, and the part of the image that a network needs to see for it.

Nothing here imports torch: the viewer cuts the part and sends it alone, so that pointing at a cell
of a very large image costs no more than at one of a small image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.inference.tiling import Rectangle

if TYPE_CHECKING:
    from napari_sartorius.inference.prepare import PreparedImage

Box = tuple[float, float, float, float]
Point = tuple[float, float]

SHORTEST_EDGE = 192
"""Network pixels along each side of what is looked at, unless the object needs more."""

_ROOM = 2.0  # sides of an object that the window is long, at least
_GRID = 32  # window corners are multiples of this, so that neighbours share what was computed
_MARGIN = 24  # network pixels between what is pointed at and the window's border, where possible


@dataclass(frozen=True)
class Prompt:
    """What was pointed at, in pixels of the image, pixel edges: pixel i covers [i, i + 1].

    Attributes
    ----------
    box
        (x0, y0, x1, y1) roughly around the object, or None.
    points
        (y, x) inside the object.
    outside
        (y, x) outside of it.
    category
        Name of the category that the object has; None lets the model decide.
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()
    outside: tuple[Point, ...] = ()
    category: str | None = None

    def __post_init__(self) -> None:
        if self.box is None and not self.points:
            raise UserError("point at a cell first: click it or drag a box around it")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise UserError("the box is empty: drag from one corner of the cell to the other")

    def with_point(self, point: Point, inside: bool) -> Prompt:
        """Return the prompt with one more point."""
        if inside:
            return replace(self, points=(*self.points, point))
        return replace(self, outside=(*self.outside, point))

    @property
    def extent(self) -> Box:
        """The smallest (x0, y0, x1, y1) around the box and all points inside."""
        corners = [] if self.box is None else [self.box[:2], self.box[2:]]
        xy = np.array([*corners, *((x, y) for y, x in self.points)], np.float64)
        low, high = xy.min(axis=0), xy.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


@dataclass(frozen=True, eq=False)
class Window:
    """A part of an image as the network sees it.

    Attributes
    ----------
    pixels : (height, width, channels) float32
        Normalised with the numbers of the whole image.
    part
        Where it lies in the rescaled image.
    to_image : (y, x)
        Image pixels per network pixel.
    image_size : (height, width)
        Of the image, in its own pixels.
    """

    pixels: NDArray[np.float32]
    part: Rectangle
    to_image: tuple[float, float]
    image_size: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in network pixels."""
        return self.part.shape

    def inward(self, xy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Positions (N, 2 k) of x, y pairs from image pixels to pixels of the window."""
        scale, corner = self._frame(xy.shape[1] // 2)
        return (np.asarray(xy, np.float64) / scale - corner).astype(np.float32)

    def outward(self, xy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Positions (N, 2 k) of x, y pairs from pixels of the window to image pixels."""
        scale, corner = self._frame(xy.shape[1] // 2)
        return ((np.asarray(xy, np.float64) + corner) * scale).astype(np.float32)

    def _frame(self, pairs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        scale = np.array([self.to_image[1], self.to_image[0]] * pairs)
        return scale, np.array([self.part.x0, self.part.y0] * pairs, np.float64)


@dataclass(frozen=True, eq=False)
class PromptAnswer:
    """What the model makes of a prompt.

    Attributes
    ----------
    found
        One object on the whole image, or none.
    category
        Its category's name; empty when nothing was found.
    device
        Where the network ran.
    seconds
        From the arrival of the window to the mask.
    """

    found: Instances
    category: str
    device: str
    seconds: float


def window_around(
    prepared: PreparedImage, prompt: Prompt, diameter: float, known: Window | None = None
) -> Window:
    """Cut what the network must see to answer a prompt.

    Parameters
    ----------
    prepared
        The image, at the model's scale.
    prompt
        What was pointed at.
    diameter
        Typical cell diameter in network pixels, for prompts without a box.
    known
        A window of the same prepared image that was cut before; it is taken again when it shows
        enough around the prompt, because the network has seen it.
    """
    sy, sx = prepared.rescaler.to_image
    x0, y0, x1, y1 = prompt.extent
    height, width = prepared.rescaler.size
    wanted = (y0 / sy, y1 / sy), (x0 / sx, x1 / sx)
    if known is not None:
        part = known.part
        sides = (part.y0, part.y1, height), (part.x0, part.x1, width)
        room = max(_MARGIN, diameter)
        if all(_has_room(*side, *span, room) for side, span in zip(sides, wanted, strict=True)):
            return known
    rows, columns = _span(*wanted[0], height, diameter), _span(*wanted[1], width, diameter)
    part = Rectangle(rows[0], columns[0], rows[1], columns[1])
    return Window(prepared.window(part), part, (sy, sx), prepared.image_size)


def _has_room(begin: int, end: int, size: int, low: float, high: float, room: float) -> bool:
    """Whether begin..end shows `room` pixels around low..high, as far as there are any."""
    return (begin == 0 or begin <= low - room) and (end == size or high + room <= end)


def _span(low: float, high: float, size: int, diameter: float) -> tuple[int, int]:
    """Begin and end of the window along one axis, inside an image of `size` pixels."""
    needed = max(_ROOM * max(high - low, diameter), high - low + 2 * (_MARGIN + _GRID))
    edge = max(SHORTEST_EDGE, -(-int(np.ceil(needed)) // _GRID) * _GRID)
    if edge >= size:
        return 0, size
    begin = round(((low + high) / 2 - edge / 2) / _GRID) * _GRID
    begin = min(max(begin, 0), size - edge)
    return begin, begin + edge
