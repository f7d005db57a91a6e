"""What kinds of cell there are, and the colour each is drawn in."""

from __future__ import annotations

import colorsys
import re
from dataclasses import dataclass

# Okabe and Ito's colour-blind safe palette without black, strongest contrast on grey images first.
_PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")
_HEX_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Category:
    """A kind of object.

    Parameters
    ----------
    id : int
        Id as a file's own table gives it. Inside the library categories are numbered from 0 in
        the order of the table; only readers and writers look at this id.
    name : str
        Name shown to the user, not empty.
    colour : str
        ``'#rrggbb'``.

    Raises
    ------
    ValueError
        If the name is empty or the colour is not of that form.
    """

    id: int
    name: str
    colour: str = _PALETTE[0]

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a category needs a name")
        if not _HEX_COLOUR.fullmatch(self.colour):
            raise ValueError(f"colour {self.colour!r} is not of the form '#rrggbb'")


def default_colour(position: int) -> str:
    """Return the colour ``'#rrggbb'`` of the category at `position` (0, 1, ...) of a table.

    The first seven come from a colour-blind safe palette; further ones walk the colour circle by
    the golden angle, so that neighbours stay apart however many there are.
    """
    if position < 0:
        raise ValueError(f"position must not be negative, got {position}")
    if position < len(_PALETTE):
        return _PALETTE[position]
    hue = (position - len(_PALETTE)) * 0.618033988749895 % 1.0
    channels = colorsys.hsv_to_rgb(hue, 0.65, 0.9)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def categories_from_names(names: list[str] | tuple[str, ...]) -> list[Category]:
    """Return categories with ids 1, 2, ... and default colours for the given names."""
    return [Category(i + 1, name, default_colour(i)) for i, name in enumerate(names)]
