"""Turning the wheel over a scrolling panel scrolls it and changes nothing under the pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QWidget


def is_passed_on(widget: QWidget, event: QWheelEvent | None) -> bool:
    """Leave the wheel to what the widget lies in, unless the widget has the focus.

    Returns
    -------
    bool
        Whether the widget has nothing to do.
    """
    if event is None or widget.hasFocus():
        return event is None
    event.ignore()
    return True
