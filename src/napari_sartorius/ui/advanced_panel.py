"""What most users never need: sizes, thresholds, tiles and the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.rescale import choose_scale
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import add_row, button, new_form, quiet, under_field
from napari_sartorius.ui.spins import OptionalSpin

if TYPE_CHECKING:
    from napari_sartorius.zoo.card import ModelCard

_TILES: tuple[tuple[str, str | int], ...] = (
    ("Automatic", "auto"),
    ("Off: whole image at once", "off"),
    ("256 px", 256),
    ("512 px", 512),
    ("1024 px", 1024),
    ("2048 px", 2048),
)
_DEVICES = (
    ("Automatic", "auto"),
    ("CPU", "cpu"),
    ("NVIDIA GPU", "cuda"),
    ("Apple GPU", "mps"),
)
_NOTICEABLE = 1.05
# Most objects of a tile where the model does not say.
_MOST = 1000


class AdvancedPanel(QWidget):
    """What is inside the section "Advanced" of the Segment tab; made when it is first opened.

    Parameters
    ----------
    default_device : str
        Device to start with; one that the menu lacks, such as ``cuda:1``, is added to it.
    """

    changed = Signal()
    """Emitted on any change in this section."""
    diameter_shown = Signal(bool)
    """Emitted when the user wants to see the diameter on the image, or no more."""
    device_changed = Signal(str)
    """Emitted with the requested device when another one is chosen."""

    def __init__(self, default_device: str = "auto", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card: ModelCard | None = None
        self._layer_pixel_size: float | None = None
        self._image_size: tuple[int, int] | None = None
        self._thresholds: dict[str, OptionalSpin] = {}
        self.diameter = OptionalSpin(1.0, 2000.0, 1.0, 1, "px")
        self.pixel_size = OptionalSpin(0.001, 1000.0, 0.05, 4, "µm", word="unknown")
        self.min_size = OptionalSpin(0, 100_000, 5, 0, "px")
        self.mask_nms = OptionalSpin(0.0, 1.0, 0.05, 2)
        self.max_objects = OptionalSpin(1, 100_000, 100, 0, "", word=str(_MOST))
        self.max_objects.set_start(_MOST)
        self.tile = Choice()
        for text, tile in _TILES:
            self.tile.addItem(text, tile)
        self.device = Choice()
        for text, name in _DEVICES:
            self.device.addItem(text, name)
        if not self.device.select_data(default_device):
            self.device.addItem(default_device, default_device)
            self.device.select_data(default_device)
        self.scale_text = quiet()
        self.guide_button = button("Show this diameter on the image", "link", "diameter_show")
        self.guide_button.setCheckable(True)
        self.reset_button = button("Back to the model's values", "link", "reset")
        self._build()
        self._connect()

    def _build(self) -> None:
        sizes, form = new_form(), new_form()
        add_row(sizes, "Diameter", self.diameter, "diameter")
        add_row(sizes, "Pixel size", self.pixel_size, "pixel_size")
        add_row(form, "Smallest", self.min_size, "min_size")
        add_row(form, "Overlap", self.mask_nms, "mask_nms")
        add_row(form, "Tiles", self.tile, "tile")
        add_row(form, "Most / tile", self.max_objects, "max_objects")
        add_row(form, "Device", self.device, "device")
        self._scores = new_form()
        self._scores_title = quiet("Lowest score to keep")
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 2, 0, 0)
        inside.setSpacing(5)
        inside.addLayout(sizes)
        inside.addLayout(under_field(self.guide_button))
        inside.addLayout(under_field(self.scale_text))
        inside.addLayout(form)
        inside.addWidget(self._scores_title)
        inside.addLayout(self._scores)
        inside.addWidget(self.reset_button)

    def _connect(self) -> None:
        for spin in (
            self.diameter,
            self.pixel_size,
            self.min_size,
            self.mask_nms,
            self.max_objects,
        ):
            spin.valueChanged.connect(self._on_change)
        self.tile.currentIndexChanged.connect(self._on_change)
        self.device.currentIndexChanged.connect(self._on_device)
        self.reset_button.clicked.connect(self.reset)
        self.guide_button.toggled.connect(self._on_guide)

    def set_card(self, card: ModelCard | None) -> None:
        """Show the values of another model; what the user had set for the last one is dropped."""
        self._card = card
        while self._scores.rowCount():
            self._scores.removeRow(0)
        self._thresholds = {}
        for category in card.categories if card is not None else ():
            spin = OptionalSpin(0.0, 1.0, 0.05, 2)
            own = card.thresholds_of(category.name).score
            spin.set_word(f"{own:.2f} (model)")
            spin.set_start(own)
            add_row(self._scores, category.name, spin, "score_threshold")
            spin.valueChanged.connect(self._on_change)
            self._thresholds[category.name] = spin
        self._scores_title.setVisible(bool(self._thresholds))
        self._show_model_words()
        self.reset()

    def set_layer(self, size: float | None, shape: tuple[int, int] | None = None) -> None:
        """Show the pixel size (µm) that the image brings along, None when it brings none.

        The `shape`, (height, width) in pixels, decides the scale of models that look at whole
        images of one size.
        """
        self._layer_pixel_size, self._image_size = size, shape
        self.pixel_size.set_word("unknown" if size is None else f"{size:.4g} µm (image)")
        if size is not None:
            self.pixel_size.set_start(size)
        self._show_scale()

    @property
    def shown_diameter(self) -> float:
        """The diameter that a run would assume, in pixels of the image."""
        model = self._card.cell_diameter if self._card is not None else 20.0
        return float(self.diameter.number() or model)

    def values(self) -> dict[str, Any]:
        """Return the fields of `SegmentConfig` that the user has set here, and no others."""
        chosen: dict[str, Any] = {
            "tile": self.tile.currentData(),
            "device": self.device.currentData(),
        }
        scores = {
            name: spin.number()
            for name, spin in self._thresholds.items()
            if spin.number() is not None
        }
        if scores:
            chosen["score_thresholds"] = scores
        for name, spin in (
            ("diameter", self.diameter),
            ("pixel_size", self.pixel_size),
            ("mask_nms", self.mask_nms),
        ):
            if spin.number() is not None:
                chosen[name] = spin.number()
        if (smallest := self.min_size.number()) is not None:
            chosen["min_size"] = round(smallest)
        if (most := self.max_objects.number()) is not None:
            chosen["max_objects_per_tile"] = round(most)
        return chosen

    def reset(self) -> None:
        """Go back to what the model has; the device stays."""
        spins = (self.diameter, self.pixel_size, self.min_size, self.mask_nms, self.max_objects)
        for spin in (*spins, *self._thresholds.values()):
            spin.set_number(None)
        self.tile.setCurrentIndex(0)
        self._show_scale()

    def _show_model_words(self) -> None:
        card = self._card
        diameter = f"{card.cell_diameter:.0f} px (model)" if card is not None else "automatic"
        self.diameter.set_word(diameter)
        if card is not None:
            self.diameter.set_start(card.cell_diameter)
        sizes = _all_thresholds(card, "min_size")
        self.min_size.set_word(_range_word(sizes, "{:.0f}", " px"))
        overlaps = _all_thresholds(card, "nms")
        self.mask_nms.set_word(_range_word(overlaps, "{:.2f}", ""))
        self.min_size.set_start(sizes[0] if sizes else 20)
        self.mask_nms.set_start(overlaps[0] if overlaps else 0.5)
        most = card.max_objects if card is not None else None
        self.max_objects.set_word(str(_MOST) if most is None else f"{most} (model)")
        self.max_objects.set_start(most or _MOST)

    def _show_scale(self) -> None:
        """Say by how much the image will be rescaled, when it will be."""
        card, factor = self._card, 1.0
        if card is not None and (card.lead.input_size is None or self._image_size is not None):
            wish = SegmentConfig(
                diameter=self.diameter.number(), pixel_size=self.pixel_size.number()
            )
            size = self._image_size or (1, 1)
            factor = choose_scale(card.lead, wish, self._layer_pixel_size, size).factor
        noticeable = max(factor, 1.0 / factor) > _NOTICEABLE
        self.scale_text.setVisible(noticeable)
        if noticeable:
            self.scale_text.setText(f"The network sees the image at {factor:.2g} times its size.")

    def _on_change(self) -> None:
        self._show_scale()
        self.changed.emit()

    def _on_guide(self, on: bool) -> None:
        self.guide_button.setText("Remove the circle" if on else "Show this diameter on the image")
        self.diameter_shown.emit(on)

    def _on_device(self) -> None:
        self.device_changed.emit(str(self.device.currentData()))
        self.changed.emit()


def _all_thresholds(card: ModelCard | None, name: str) -> list[float]:
    """Return the different values that the card's categories have for a threshold, rising."""
    if card is None:
        return []
    return sorted({float(getattr(card.thresholds_of(one.name), name)) for one in card.categories})


def _range_word(values: list[float], pattern: str, unit: str) -> str:
    """Return ``20 px (model)``, or ``20 to 75 px (model)`` when the categories differ."""
    if not values:
        return "as the model"
    ends = [pattern.format(values[0]), pattern.format(values[-1])]
    return " to ".join(dict.fromkeys(ends)) + f"{unit} (model)"
