"""Small pictures in a grid; a click shows one large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtGui import QResizeEvent

_GAP = 4
_LARGE = 560


def pixmap_of(pixels: NDArray[np.uint8]) -> QPixmap:
    """An array (H, W, 3) uint8 as a picture of Qt."""
    height, width = pixels.shape[:2]
    data = pixels.tobytes()
    image = QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image.copy())  # the copy outlives `data`


def _squared(picture: QPixmap) -> QPixmap:
    """The middle of a picture that is not square."""
    side = min(picture.width(), picture.height())
    return picture.copy((picture.width() - side) // 2, (picture.height() - side) // 2, side, side)


class Thumbnails(QWidget):
    """Square buttons that share the width.

    Parameters
    ----------
    columns : int
        Pictures beside each other.
    """

    chosen = Signal(int)
    """Position of the picture that was clicked."""

    def __init__(self, columns: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns = columns
        self.buttons: list[QToolButton] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(_GAP)

    def show_pictures(self, pictures: Sequence[QPixmap], hints: Sequence[str] = ()) -> None:
        """Show these; `hints` appear under the pointer."""
        while len(self.buttons) < len(pictures):
            self._add()
        for place, one in enumerate(self.buttons):
            one.setVisible(place < len(pictures))
            if place < len(pictures):
                one.setIcon(QIcon(_squared(pictures[place])))
                one.setToolTip(hints[place] if place < len(hints) else "")
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """Return no width: the buttons' fixed size must not keep the page wide."""
        return QSize(0, self.minimumHeight())

    def sizeHint(self) -> QSize:
        """Return the same."""
        return self.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the pictures square."""
        super().resizeEvent(event)
        self._fit()

    def _add(self) -> None:
        place = len(self.buttons)
        one = QToolButton()
        set_role(one, "picture")
        one.setCursor(Qt.CursorShape.PointingHandCursor)
        one.clicked.connect(lambda _=False: self.chosen.emit(place))
        self.buttons.append(one)
        row, column = divmod(place, self._columns)
        self._grid.addWidget(one, row, column, Qt.AlignmentFlag.AlignLeft)

    def _fit(self) -> None:
        side = max(40, (self.width() - _GAP * (self._columns - 1)) // self._columns)
        for one in self.buttons:
            one.setFixedSize(side, side)
            one.setIconSize(QSize(side, side))
        shown = sum(not one.isHidden() for one in self.buttons)
        rows = -(-shown // self._columns)
        self.setFixedHeight(max(rows * (side + _GAP) - _GAP, 0))


class LargePictures(QDialog):
    """Pictures beside each other, as large as they are useful.

    Parameters
    ----------
    title : str
        Of the window.
    pictures : sequence of (str, QPixmap)
        What each shows, and the picture.
    note : str
        A line below.
    """

    def __init__(
        self,
        title: str,
        pictures: Sequence[tuple[str, QPixmap]],
        note: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        row = QHBoxLayout()
        self.captions: list[str] = []
        for caption, picture in pictures:
            column = QVBoxLayout()
            head = QLabel(caption)
            set_role(head, "heading")
            shown = QLabel()
            shown.setPixmap(
                picture.scaled(
                    _LARGE,
                    _LARGE,
                    Qt.AspectRatioMode.KeepAspectRatio,
                    Qt.TransformationMode.SmoothTransformation,
                )
            )
            column.addWidget(head)
            column.addWidget(shown, 1)
            row.addLayout(column)
            self.captions.append(caption)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        if note:
            layout.addWidget(QLabel(note))
