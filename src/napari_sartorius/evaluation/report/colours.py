"""Colours of categories, told apart with every common kind of colour vision."""

from __future__ import annotations

_CATEGORIES = ("#3d8fd1", "#e69f00", "#1fae83", "#d884c0", "#e0562f", "#8b7fd6", "#8a9a2b")


def category_colour(index: int) -> str:
    """Return the colour of a category's curves and points, by its position."""
    return _CATEGORIES[index % len(_CATEGORIES)]
