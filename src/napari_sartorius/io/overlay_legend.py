"""The small print on an overlay: which colour is what, and how long a micrometre is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.categories import Category
    from napari_sartorius.core.instances import Instances

_BACKDROP = (0, 0, 0, 150)
_WHITE = (255, 255, 255, 255)


def draw_legend(
    picture: Image.Image,
    instances: Instances,
    categories: Sequence[Category],
    *,
    coloured: bool,
) -> None:
    """Write names and counts of the categories that occur into the lower left corner, in place.

    Parameters
    ----------
    picture
        RGB.
    instances
        The objects that were drawn.
    categories
        Names and colours by category index.
    coloured
        Whether categories have colours in this picture; else no colour is shown.
    """
    counts = np.bincount(instances.categories, minlength=len(categories))
    size = _text_size(picture)
    font = ImageFont.load_default(size)
    lines = [(c, f"{c.name}  {n}") for c, n in zip(categories, counts, strict=False) if n]
    mark = round(size * 1.1) if coloured else 0
    width = max(font.getlength(text) for _, text in lines) + mark + 1.2 * size
    height = len(lines) * 1.35 * size + 0.6 * size
    panel = Image.new("RGBA", (round(width), round(height)), _BACKDROP)
    pen = ImageDraw.Draw(panel)
    for row, (category, text) in enumerate(lines):
        top = round(0.4 * size + row * 1.35 * size)
        if coloured:
            box = (0.6 * size, top + 0.2 * size, 1.3 * size, top + 0.9 * size)
            pen.rounded_rectangle(box, radius=0.15 * size, fill=category.colour)
        pen.text((0.6 * size + mark, top), text, font=font, fill=_WHITE)
    _paste(picture, panel, size // 2, picture.height - panel.height - size // 2)


def draw_scale_bar(picture: Image.Image, pixel_size: float) -> None:
    """Draw a bar of a round length, about a seventh of the width, into the lower right corner.

    Parameters
    ----------
    picture
        RGB, changed in place.
    pixel_size
        Micrometres per pixel of `picture`.
    """
    target = picture.width * pixel_size / 7
    power = 10 ** math.floor(math.log10(target))
    length = next(step * power for step in (5, 2, 1) if step * power <= target)
    size = _text_size(picture)
    font = ImageFont.load_default(size)
    # Pillow's own font, the only one that is always there, has no Greek letters.
    text = f"{length:g} um" if length < 1000 else f"{length / 1000:g} mm"
    bar = round(length / pixel_size)
    width = round(max(bar, font.getlength(text)) + 1.2 * size)
    panel = Image.new("RGBA", (width, round(2.1 * size)), _BACKDROP)
    pen = ImageDraw.Draw(panel)
    pen.text((width / 2, 0.25 * size), text, font=font, fill=_WHITE, anchor="ma")
    left = (width - bar) / 2
    pen.rectangle((left, 1.55 * size, left + bar - 1, 1.75 * size), fill=_WHITE)
    x, y = picture.width - width - size // 2, picture.height - panel.height - size // 2
    _paste(picture, panel, x, y)


def _text_size(picture: Image.Image) -> int:
    return max(12, round(min(picture.size) / 45))


def _paste(picture: Image.Image, panel: Image.Image, x: int, y: int) -> None:
    picture.paste(panel, (max(0, x), max(0, y)), panel)
