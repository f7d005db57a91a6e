"""Where the true cells come from: a labels layer of the viewer, or an image of a COCO file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from napari_sartorius.io.image_names import title_of
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.evaluate.likely_layers import TruthLayer
from napari_sartorius.ui.forms import button

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sartorius.io.coco_dataset import CocoImage

_FILE_TYPES = "COCO annotations (*.json)"


class TruthChoice(QWidget):
    """A menu of layers and a way to a file; a file goes before the layers.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers are offered.
    """

    file_asked = Signal(str)
    """The user chose a file to read."""
    changed = Signal()
    """Another layer, another image, or no file any more."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layers = TruthLayer(viewer)
        self.images = Choice()
        self.file_button = button("COCO file …", "link", "evaluate_file")
        self.layers_button = button("Layer instead", "link", "evaluate_layer")
        self._images: list[CocoImage] = []
        self._build()
        self.layers.layer_changed.connect(lambda _: self.changed.emit())
        self.images.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.file_button.clicked.connect(self._ask)
        self.layers_button.clicked.connect(self.show_layers)
        self.show_layers()

    def _build(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.layers, 1)
        row.addWidget(self.images, 1)
        row.addWidget(self.file_button)
        row.addWidget(self.layers_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)

    @property
    def layer(self) -> Labels | None:
        """The chosen layer, None while a file goes before."""
        return None if self.is_file else self.layers.layer

    @property
    def is_file(self) -> bool:
        """Whether the truth is in a file."""
        return not self.images.isHidden()

    @property
    def image(self) -> CocoImage | None:
        """The chosen image of the file, None until one is chosen."""
        place = self.images.currentData()
        return self._images[place] if self.is_file and place is not None else None

    def show_images(self, images: Sequence[CocoImage], chosen: CocoImage | None) -> None:
        """Offer the images of a file that was read."""
        self._images = list(images)
        with QSignalBlocker(self.images):
            self.images.clear()
            if chosen is None:
                self.images.addItem("choose the image …", None)
            for place, image in enumerate(self._images):
                self.images.addItem(title_of(image), place)
            if chosen is not None:
                self.images.setCurrentIndex(self._images.index(chosen))
        self._show_file(True)
        self.changed.emit()

    def show_layers(self) -> None:
        """Go back to the layers."""
        self._show_file(False)
        self.changed.emit()

    def stop(self) -> None:
        """Stop following the viewer."""
        self.layers.stop()

    def _show_file(self, is_file: bool) -> None:
        for widget in (self.layers, self.file_button):
            widget.setVisible(not is_file)
        for widget in (self.images, self.layers_button):
            widget.setVisible(is_file)

    def _ask(self) -> Any:
        path, _ = QFileDialog.getOpenFileName(self, "True cells", str(Path.home()), _FILE_TYPES)
        if path:
            self.file_asked.emit(path)
