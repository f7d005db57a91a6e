"""What the network will see: crops with their random changes and true outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_sartorius.ui.forms import button, heading, quiet
from napari_sartorius.ui.train.thumbnails import LargePictures, Thumbnails, pixmap_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtGui import QPixmap

_COLUMNS = 3
_NOTE = (
    "Turned, scaled and lit at random, so that the model learns cells and not pictures by heart."
)


class Preview(QWidget):
    """A gallery of crops."""

    others_asked = Signal()
    """The user wants to see others."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pictures: list[QPixmap] = []
        self.others_button = button("Show others", "link", "train_others")
        self.note = quiet(_NOTE)
        self.pictures = Thumbnails(_COLUMNS)
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(heading("What the network will see"), 1)
        head.addWidget(self.others_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.pictures)
        layout.addWidget(self.note)
        self.others_button.clicked.connect(self._on_others)
        self.pictures.chosen.connect(self._enlarge)
        self.hide()

    def show_crops(self, crops: Sequence[NDArray[np.uint8]]) -> None:
        """Show these pictures (S, S, 3)."""
        self._pictures = [pixmap_of(crop) for crop in crops]
        self.pictures.show_pictures(self._pictures)
        self.others_button.setEnabled(True)
        self.setVisible(bool(crops))

    def _on_others(self) -> None:
        self.others_button.setEnabled(False)
        self.others_asked.emit()

    def _enlarge(self, place: int) -> None:
        pictures = [("True outlines in blue", self._pictures[place])]
        LargePictures("What the network will see", pictures, _NOTE, self).show()
