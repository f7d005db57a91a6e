"""Ways to look at an image: the eight flips and quarter turns of a rectangle, at any scale.

A view is written ``"horizontal"`` or, enlarged before it is flipped, ``"horizontal@1.5"``. Every
flip and turn is a transposition (or none) followed by a reversal of rows (or none) and of columns
(or none), so its inverse is exact: the reversals, then the transposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

Flip = Literal[
    "identity",
    "horizontal",
    "vertical",
    "both",
    "transpose",
    "rot90",
    "rot270",
    "anti_transpose",
]

# Transposed first, then rows reversed, then columns reversed.
_PARTS: dict[str, tuple[bool, bool, bool]] = {
    "identity": (False, False, False),
    "horizontal": (False, False, True),
    "vertical": (False, True, False),
    "both": (False, True, True),
    "transpose": (True, False, False),
    "rot90": (True, True, False),
    "rot270": (True, False, True),
    "anti_transpose": (True, True, True),
}
_LARGEST_SCALE = 8.0


@dataclass(frozen=True)
class BoxMap:
    """Boxes xyxy of an image as a view shows them: ``boxes[order] * factor + shift``.

    Attributes
    ----------
    order
        Which column of the image's boxes becomes each column of the view's.
    factor, shift
        For each column of the view's boxes. A negative factor goes with a reversed axis.
    seen
        (height, width) of the view.
    """

    order: tuple[int, int, int, int]
    factor: tuple[float, float, float, float]
    shift: tuple[float, float, float, float]
    seen: tuple[int, int]

    def reversed(self, axis: int, side: float) -> BoxMap:
        """The same with x (0) or y (1) counted from the other end of a side."""
        low, high = axis, axis + 2
        order, factor, shift = list(self.order), list(self.factor), list(self.shift)
        order[low], order[high] = order[high], order[low]
        for column in (low, high):
            factor[column], shift[column] = -factor[column], side - shift[column]
        return BoxMap(
            (order[0], order[1], order[2], order[3]),
            (factor[0], factor[1], factor[2], factor[3]),
            (shift[0], shift[1], shift[2], shift[3]),
            self.seen,
        )

    @property
    def inverse_order(self) -> tuple[int, int, int, int]:
        """Which column of the view's boxes becomes each column of the image's."""
        o = self.order
        return o.index(0), o.index(1), o.index(2), o.index(3)

    @property
    def is_identity(self) -> bool:
        """Whether boxes stay as they are."""
        return self.factor == (1, 1, 1, 1) and not any(self.shift) and self.order[0] == 0


@dataclass(frozen=True)
class View:
    """One way to look at an image.

    Attributes
    ----------
    flip
        ``identity``; ``horizontal`` (left and right swapped), ``vertical`` (top and bottom) or
        ``both`` (half a turn); ``rot90`` and ``rot270`` (quarter turns anticlockwise, as
        `numpy.rot90` makes one and three of them); ``transpose`` and ``anti_transpose`` (mirrored
        at the diagonal from the top left, and at the other one).
    scale
        How much larger the image is seen, above 0 to 8; it is resized before it is flipped.
    """

    flip: Flip = "identity"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.flip not in get_args(Flip):
            raise ValueError(
                f"there is no view {self.flip!r}; known views are {', '.join(get_args(Flip))}, "
                "each also with a scale, as in horizontal@1.5"
            )
        if not 0 < self.scale <= _LARGEST_SCALE:
            raise ValueError(
                f"the scale of the view {self} must be above 0 and at most {_LARGEST_SCALE:g}"
            )

    @classmethod
    def parse(cls, text: str) -> View:
        """Read what `str` writes.

        Raises
        ------
        ValueError
            One sentence, when there is no such view.
        """
        flip, at, scale = text.partition("@")
        try:
            factor = float(scale) if at else 1.0
        except ValueError:
            factor = float("nan")
        return cls(cast("Flip", flip), factor)

    def __str__(self) -> str:
        return self.flip if self.scale == 1 else f"{self.flip}@{self.scale:g}"

    @property
    def transposed(self) -> bool:
        """Whether rows and columns change places, before any reversal."""
        return _PARTS[self.flip][0]

    @property
    def rows_reversed(self) -> bool:
        """Whether the view's rows run the other way."""
        return _PARTS[self.flip][1]

    @property
    def columns_reversed(self) -> bool:
        """Whether the view's columns run the other way."""
        return _PARTS[self.flip][2]

    def scaled_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of an image of `size` after resizing, before it is flipped."""
        if self.scale == 1:
            return size
        return max(1, round(size[0] * self.scale)), max(1, round(size[1] * self.scale))

    def box_map(self, size: tuple[int, int]) -> BoxMap:
        """How boxes of an image of (height, width) are found again in this view."""
        scaled = self.scaled_size(size)
        along_x, along_y = scaled[1] / size[1], scaled[0] / size[0]
        order, factor = (0, 1, 2, 3), (along_x, along_y, along_x, along_y)
        if self.transposed:
            order, factor = (1, 0, 3, 2), (along_y, along_x, along_y, along_x)
        seen = self.seen_size(size)
        mapped = BoxMap(order, factor, (0.0, 0.0, 0.0, 0.0), seen)
        if self.columns_reversed:
            mapped = mapped.reversed(0, seen[1])
        if self.rows_reversed:
            mapped = mapped.reversed(1, seen[0])
        return mapped

    def seen_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of an image of `size` as seen in this view."""
        height, width = self.scaled_size(size)
        return (width, height) if self.transposed else (height, width)
