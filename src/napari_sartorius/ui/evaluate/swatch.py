"""A small square of a colour, for lists and buttons."""

from __future__ import annotations

from functools import cache

from qtpy.QtGui import QColor, QIcon, QPixmap

SIDE = 9
"""Pixels."""


@cache
def swatch(colour: str) -> QIcon:
    """Return a square of a colour (``#rrggbb``), the same in a selected line."""
    pixmap = QPixmap(SIDE, SIDE)
    pixmap.fill(QColor(colour))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
