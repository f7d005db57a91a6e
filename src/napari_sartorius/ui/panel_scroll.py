"""A column of panels that scrolls when the dock is too low for it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QWidget


class PanelScroll(QScrollArea):
    """Scrolls up and down only; the panels are as wide as there is room.

    Parameters
    ----------
    inside : QWidget
        What scrolls; still empty, otherwise Qt lays it out once more.
    """

    def __init__(self, inside: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(inside)

    def reveal(self, panel: QWidget) -> None:
        """Scroll as far as needed for the whole of a panel, also of one that was just filled."""
        # The scroll bar that a longer panel brings makes the texts narrower and so the panel longer
        # still: that comes in a second round.
        for _ in range(2):
            QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        self.ensureWidgetVisible(panel, 0, 0)
