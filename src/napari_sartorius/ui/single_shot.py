"""Timers that act once when nothing has started them again for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject


def single_shot(parent: QObject, milliseconds: int, action: Callable[[], object]) -> QTimer:
    """Return a timer that is not started yet; it belongs to `parent`."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(action)
    return timer
