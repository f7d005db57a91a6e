"""Draws a layer's little picture in the layer list once nothing has changed for a moment.

napari draws its layer list in a frame of its own after every change of a thumbnail. While a slider
is moved, that is every second frame of the window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels

QUIET_MS = 250
"""So long nothing may change before the thumbnail is drawn."""

_waiting: WeakKeyDictionary[Labels, QTimer] = WeakKeyDictionary()


def update_thumbnail_later(layer: Labels) -> None:
    """Draw the thumbnail of a layer when it was left alone for `QUIET_MS`; main thread only."""
    timer = _waiting.get(layer)
    if timer is None:
        timer = _waiting[layer] = QTimer()
        timer.setSingleShot(True)
        timer.setInterval(QUIET_MS)
        timer.timeout.connect(_drawing(layer))
    timer.start()


def _drawing(layer: Labels) -> Callable[[], None]:
    known = ref(layer)  # a timer must not keep a layer alive that was removed

    def draw() -> None:
        layer = known()
        if layer is not None:
            layer._update_thumbnail()

    return draw
