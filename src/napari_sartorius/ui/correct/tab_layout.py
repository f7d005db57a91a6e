"""How the Correct tab is laid out: all that scrolls on a low screen, and below it what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from napari_sartorius.ui.forms import rule, scrolled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QLayout


def lay_out(
    tab: QWidget, form: QLayout, upper: Sequence[QWidget], lower: Sequence[QWidget]
) -> QScrollArea:
    """Fill a tab.

    Parameters
    ----------
    tab : QWidget
        Without a layout.
    form : QLayout
        Comes first.
    upper : sequence of QWidget
        Below the form; the first one takes the room that is left.
    lower : sequence of QWidget
        Stay in sight below all that.

    Returns
    -------
    QScrollArea
        With the form and `upper`.
    """
    inside = QWidget()
    column = QVBoxLayout(inside)
    column.setContentsMargins(8, 6, 8, 0)
    column.setSpacing(6)
    column.addLayout(form)
    for n, widget in enumerate(upper):
        column.addWidget(widget, 0 if n else 1)
    scroll = scrolled(inside)
    foot = QVBoxLayout()
    foot.setContentsMargins(8, 0, 8, 8)
    foot.setSpacing(6)
    foot.addWidget(rule())
    for widget in lower:
        foot.addWidget(widget)
    layout = QVBoxLayout(tab)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    layout.addWidget(scroll, 1)
    layout.addLayout(foot)
    return scroll
