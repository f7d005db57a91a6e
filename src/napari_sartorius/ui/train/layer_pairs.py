"""Pairs of an image and the labels drawn on it, to learn from what is in the viewer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_dataset import CocoDataset
from napari_sartorius.io.layer_table import OVERLAY_KEY, layer_memory
from napari_sartorius.ui import image_source
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import quiet
from napari_sartorius.ui.image_panel import is_image
from napari_sartorius.ui.layer_writer import METADATA_KEY
from napari_sartorius.ui.result_view import provenance
from napari_sartorius.ui.tooltips import tooltip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari.components import ViewerModel

_OF_FILES = {"image_path", "images"}
_MIDDLE = Qt.TextElideMode.ElideMiddle
_HALF = 104  # pixels; as wide as the menu beside it
_TICK = 32  # pixels of the box and what is around it


@dataclass(frozen=True, eq=False)
class Pair:
    """An image layer and a labels layer of the same size."""

    image: Image
    labels: Labels


class LayerPairs(QWidget):
    """Every labels layer, to be ticked, with the image that its cells are on, to be changed.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers are offered.
    """

    changed = Signal()
    """Other pairs are ticked, or there are others."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.rows: list[_Row] = []
        self._lonely: list[Labels] = []
        self._ticks: dict[int, bool] = {}  # of the user
        self._wanted: dict[int, Image] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self.refresh)
        self.refresh()

    @property
    def ticked(self) -> list[Pair]:
        """Pairs that are learnt from."""
        return [row.pair for row in self.rows if row.tick.isChecked()]

    def refresh(self, event: object = None) -> None:
        """Read the viewer's layers again; what the user chose stays."""
        pairs, self._lonely = pairs_of(self._viewer.layers)
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.rows = []
        wishes = [self._wish(labels, images) for labels, images in pairs]
        meant = _meant([Pair(image, pair[0]) for image, pair in zip(wishes, pairs, strict=True)])
        for (labels, images), wanted in zip(pairs, wishes, strict=True):
            ticked = self._ticks.get(id(labels), any(labels is one for one in meant))
            row = _Row(labels, images, wanted, ticked=ticked)
            row.tick.toggled.connect(partial(self._ticks.__setitem__, id(labels)))
            row.changed.connect(self._on_row)
            self._layout.addWidget(row)
            self.rows.append(row)
        for layer in self._lonely:
            self._layout.addWidget(quiet(f"{layer.name}: no image of its size"))
        self.changed.emit()

    def obstacle(self) -> str | None:
        """One sentence on why nothing can be learnt from layers yet, or None."""
        if self._lonely and not self.rows:
            height, width = self._lonely[0].data.shape[-2:]
            return (
                f"'{self._lonely[0].name}' is {width} x {height} pixels, and no image layer is: "
                "open the image that these labels belong to."
            )
        if not self.rows:
            return "Open an image and draw its cells in a labels layer first."
        if not self.ticked:
            return "Tick the labels to learn from."
        return None

    def stop(self) -> None:
        """Stop following the viewer."""
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.disconnect(self.refresh)

    def _wish(self, labels: Labels, images: Sequence[Image]) -> Image:
        """The image that the user has chosen for labels, else the likeliest."""
        wanted = self._wanted.get(id(labels))
        return next((one for one in images if one is wanted), images[0])

    def _on_row(self) -> None:
        self._wanted = {id(row.pair.labels): row.pair.image for row in self.rows}
        self.changed.emit()


class _Row(QWidget):
    """A tick with the name of the labels, and a menu of images."""

    changed = Signal()

    def __init__(
        self, labels: Labels, images: Sequence[Image], wanted: Image, *, ticked: bool
    ) -> None:
        super().__init__()
        self._labels, self._images = labels, list(images)
        self.tick = QCheckBox()
        self.tick.setText(self.tick.fontMetrics().elidedText(labels.name, _MIDDLE, _HALF - _TICK))
        self.tick.setToolTip(labels.name)
        self.tick.setChecked(ticked)
        self.tick.setFixedWidth(_HALF)
        self.image = Choice()
        for one in self._images:
            self.image.addItem(one.name)
        self.image.setCurrentIndex(next(n for n, one in enumerate(images) if one is wanted))
        self.image.setToolTip(tooltip("train_pair"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.tick)
        row.addWidget(self.image, 1)
        self.image.cut = _MIDDLE
        self.tick.toggled.connect(self.changed)
        self.image.currentIndexChanged.connect(self.changed)

    @property
    def pair(self) -> Pair:
        """The labels and the chosen image."""
        return Pair(self._images[max(self.image.currentIndex(), 0)], self._labels)


def _meant(pairs: Sequence[Pair]) -> list[Labels]:
    """Of the labels of one image those that are likeliest meant: the topmost that is shown.

    An image that is learnt from twice, with other cells each time, teaches what is wrong in one of
    them, and checks the model on what it has learnt.
    """
    best: dict[int, Labels] = {}
    for pair in pairs:  # from the bottom to the top
        before = best.get(id(pair.image))
        if before is None or pair.labels.visible or not before.visible:
            best[id(pair.image)] = pair.labels
    return list(best.values())


def pairs_of(layers: Sequence[Any]) -> tuple[list[tuple[Labels, list[Image]]], list[Labels]]:
    """Labels layers with the images of their size, the likeliest first.

    The likeliest is the image that the labels were made from; else, where there are as many
    images as labels of a size, the one at the same place; else the nearest one below.

    Returns
    -------
    pairs, lonely
        Labels for which there is no image of their size are lonely. What only shows or compares
        (overlays, errors) is neither.
    """
    images = [layer for layer in layers if is_image(layer)]
    labels = [
        layer
        for layer in layers
        if isinstance(layer, Labels) and not layer.metadata.get(OVERLAY_KEY)
    ]
    place = {id(layer): n for n, layer in enumerate(layers)}
    pairs, lonely = [], []
    for one in labels:
        shape = tuple(one.data.shape)
        fitting = [image for image in images if _shape(image) == shape]
        alike = [other for other in labels if tuple(other.data.shape) == shape]
        if not fitting:
            lonely.append(one)
            continue
        named = [image for image in fitting if image.name == provenance(one).get("image")]
        below = [image for image in fitting if place[id(image)] < place[id(one)]]
        likely = named or (below or fitting)[-1:]
        if not named and len(fitting) == len(alike):
            likely = [fitting[alike.index(one)]]
        pairs.append((one, [*likely[:1], *(i for i in fitting if i is not likely[0])]))
    return pairs, lonely


def write_pairs(pairs: Sequence[Pair], folder: Path) -> Path:
    """Write layers as a dataset: their pixels and their cells as they are now.

    Parameters
    ----------
    pairs
        Images and labels.
    folder
        Where to; the file is called ``annotations.json``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        When it cannot be written, or labels are no whole numbers.
    """
    from napari_sartorius.io.coco_writing import write_coco
    from napari_sartorius.io.dataset_from_layers import dataset_from_layers
    from napari_sartorius.io.joining import join_datasets

    parts = []
    count = 0
    for number, pair in enumerate(pairs, start=1):
        why = image_source.why_unusable(pair.image)
        if why is not None:
            raise UserError(why)
        image, labels = (one.as_layer_data_tuple() for one in (pair.image, pair.labels))
        # The pixels as they are shown, wherever they once came from.
        memory = {k: v for k, v in layer_memory(labels[1]).items() if k not in _OF_FILES}
        memory["image"] = pair.image.name
        labels[1]["metadata"] = {METADATA_KEY: memory}
        part = dataset_from_layers(folder / f"layer_{number}.json", [image, labels])
        if len(part) > 1:  # a slice of a stack that nobody has drawn in would teach background
            drawn = {record.id for record in part.images if len(part.instances[record.id])}
            part = part.select(lambda record, drawn=drawn: record.id in drawn)
        parts.append(_renumbered(part, count))
        count += len(part)
    write_coco(folder / "annotations.json", join_datasets(parts))
    return folder


def _renumbered(part: CocoDataset, first: int) -> CocoDataset:
    images = [replace(one, id=first + n) for n, one in enumerate(part.images, start=1)]
    instances = {
        new.id: part.instances[old.id] for old, new in zip(part.images, images, strict=True)
    }
    return CocoDataset(images, part.categories, dict(instances), part.info, part.folder)


def _shape(image: Image) -> tuple[int, ...]:
    return (*image_source.leading_shape(image), *image_source.plane_shape(image))
