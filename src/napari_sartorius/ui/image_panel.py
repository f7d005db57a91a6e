"""Which image to segment: the layer, its channel and its slices."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sartorius.core.wording import agree
from napari_sartorius.ui import image_source
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import (
    add_row,
    button,
    heading,
    new_form,
    quiet,
    set_row_visible,
    under_field,
)
from napari_sartorius.ui.layer_choice import LayerChoice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_sartorius.core.channels import ChannelChoice

_CHANNELS: tuple[tuple[str, ChannelChoice], ...] = (
    ("Automatic", "auto"),
    ("Brightness", "luminance"),
    ("Hematoxylin stain", "hematoxylin"),
    ("Red", 0),
    ("Green", 1),
    ("Blue", 2),
)
_SLICES = (("The slice shown now", "current"), ("All slices", "all"))


def is_image(layer: Layer) -> bool:
    """Whether a layer is an image, neither labels nor a view of ours of another image."""
    from napari.layers import Image

    if not isinstance(layer, Image):
        return False
    from napari_sartorius.io.layer_table import OVERLAY_KEY  # late: the dock opens sooner

    return not layer.metadata.get(OVERLAY_KEY)


class ImagePanel(QWidget):
    """The section "Image" of the Segment tab.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer whose images are offered.
    """

    changed = Signal()
    """Emitted when another layer, channel or slice choice was made, or the layer itself changed."""
    network_view_asked = Signal()
    """Emitted when the user wants to see what the network sees."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._connected: Image | None = None
        self.layers = LayerChoice(viewer, is_image, "no image yet")
        self.facts = quiet()
        self.network_view = button("Show what the network sees", "link", "network_view")

        self._form = new_form()
        top = new_form()
        add_row(top, "Layer", self.layers, "image")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(heading("Image"))
        layout.addLayout(top)
        layout.addLayout(under_field(self.facts))
        layout.addLayout(self._form)
        layout.addLayout(under_field(self.network_view))

        self.layers.layer_changed.connect(self._on_layer)
        self.network_view.clicked.connect(self.network_view_asked)
        self._on_layer(self.layers.layer)

    @property
    def layer(self) -> Image | None:
        """The chosen image."""
        return self.layers.layer

    # Both menus are made for the first image that has channels or slices: a menu costs Qt more than
    # everything else in this section, and most images need neither.

    @cached_property
    def channel(self) -> Choice:
        """The menu of channels, for colour images."""
        return self._add_menu(0, "Channel", "channel", _CHANNELS)

    @cached_property
    def slices(self) -> Choice:
        """The menu of slices, for stacks."""
        return self._add_menu(-1, "Slices", "slices", _SLICES)

    def _add_menu(
        self, row: int, title: str, hint: str, entries: Iterable[tuple[str, str | int]]
    ) -> Choice:
        menu = Choice()
        for text, value in entries:
            menu.addItem(text, value)
        add_row(self._form, title, menu, hint, row)
        set_row_visible(self._form, menu, False)
        menu.currentIndexChanged.connect(self.changed)
        return menu

    @property
    def channel_value(self) -> ChannelChoice:
        """The channel as `SegmentConfig` wants it."""
        layer = self.layer
        return self.channel.currentData() if layer is not None and layer.rgb else "auto"

    def plane_choice(self) -> image_source.PlaneChoice:
        """Return the planes to segment; there must be a layer."""
        layer = self.layer
        if layer is None:
            raise LookupError("no image layer is chosen")
        if not image_source.leading_shape(layer) or self.slices.currentData() == "all":
            return image_source.PlaneChoice.everything(layer)
        return image_source.PlaneChoice.current(layer, tuple(self._viewer.dims.point))

    def stop(self) -> None:
        """Stop following the viewer and the layer."""
        self._follow(None)
        self.layers.stop()

    def _follow(self, layer: Image | None) -> None:
        if self._connected is not None:
            for name in ("data", "scale", "units"):
                if hasattr(self._connected.events, name):
                    getattr(self._connected.events, name).disconnect(self._on_layer_edited)
        self._connected = layer
        if layer is not None:
            for name in ("data", "scale", "units"):
                if hasattr(layer.events, name):
                    getattr(layer.events, name).connect(self._on_layer_edited)

    def _on_layer(self, layer: Image | None) -> None:
        self._follow(layer)
        self._show_facts()
        self.changed.emit()

    def _on_layer_edited(self, event: object = None) -> None:
        self._show_facts()
        self.changed.emit()

    def _show_facts(self) -> None:
        layer = self.layer
        self.network_view.setEnabled(layer is not None)
        stack = layer is not None and bool(image_source.leading_shape(layer))
        needed = {"channel": layer is not None and bool(layer.rgb), "slices": stack}
        for name, visible in needed.items():
            if visible or name in vars(self):
                set_row_visible(self._form, getattr(self, name), visible)
        if layer is None:
            self.facts.setText("Drop an image on the window, or choose File > Open Sample.")
            return
        self.facts.setText(image_source.describe(layer))
        if stack:
            count = len(image_source.PlaneChoice.everything(layer).indices)
            self.slices.setItemText(1, agree(count, "The only slice", f"All {count:,} slices"))
