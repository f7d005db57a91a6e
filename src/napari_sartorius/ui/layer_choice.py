"""A menu of layers that follows the viewer: layers added, removed, renamed or reordered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal

from napari_sartorius.ui.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget


class LayerChoice(Choice):
    """Lets the user choose one of the viewer's layers of a kind.

    The newest fitting layer is chosen when it appears; a choice that the user made stays until
    its layer goes away.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer to follow.
    fits : callable
        Says whether a layer belongs in the menu.
    empty_text : str
        Shown while there is none.
    """

    cut = Qt.TextElideMode.ElideMiddle  # results of one image differ in their last letters

    layer_changed = Signal(object)
    """Emitted with the chosen layer or None when another one is chosen."""

    def __init__(
        self,
        viewer: ViewerModel,
        fits: Callable[[Layer], bool],
        empty_text: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._fits = fits
        self._empty_text = empty_text
        self._layers: list[Layer] = []
        self._watched: list[Layer] = []
        self._chosen: Layer | None = None
        self.currentIndexChanged.connect(self._on_index)
        events = viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self.refresh)
        events.reordered.connect(self.refresh)
        self.refresh()
        self._choose(self._layers[0] if self._layers else None)

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, or None when there is none to choose."""
        return self._chosen

    def choose(self, layer: Layer) -> None:
        """Choose a layer; ignored when it is not in the menu."""
        if not any(layer is one for one in self._layers):
            self.refresh()
        if any(layer is one for one in self._layers):
            self._choose(layer)

    def refresh(self, event: object = None) -> None:
        """Read the viewer's layers again, newest first; keeps a choice that is still there."""
        self._watch()
        self._layers = [one for one in reversed(list(self._viewer.layers)) if self._fits(one)]
        names = [one.name for one in self._layers] or [self._empty_text]
        if names != [self.itemText(at) for at in range(self.count())]:
            with QSignalBlocker(self):
                self.clear()
                self.addItems(names)
        self.setEnabled(bool(self._layers))
        kept = any(self._chosen is one for one in self._layers)
        self._choose(self._chosen if kept else (self._layers[0] if self._layers else None))

    def stop(self) -> None:
        """Stop following the viewer."""
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self.refresh)
        events.reordered.disconnect(self.refresh)
        for layer in self._watched:
            self._unwatch(layer)
        self._watched = []

    def _watch(self) -> None:
        """Listen to the names and tables of exactly the layers that are in the viewer."""
        present = list(self._viewer.layers)
        for layer in self._watched:
            if not any(layer is one for one in present):
                self._unwatch(layer)
        for layer in present:
            if not any(layer is one for one in self._watched):
                layer.events.name.connect(self.refresh)
                if hasattr(layer.events, "features"):
                    layer.events.features.connect(self._on_features)
        self._watched = present

    def _unwatch(self, layer: Layer) -> None:
        layer.events.name.disconnect(self.refresh)
        if hasattr(layer.events, "features"):
            layer.events.features.disconnect(self._on_features)

    def _on_inserted(self, event: object) -> None:
        self.refresh()
        new = getattr(event, "value", None)
        if any(new is one for one in self._layers):
            self._choose(new)

    def _on_features(self, event: object) -> None:
        now = [one for one in reversed(list(self._viewer.layers)) if self._fits(one)]
        if len(now) != len(self._layers) or any(
            a is not b for a, b in zip(now, self._layers, strict=True)
        ):
            self.refresh()

    def _on_index(self, position: int) -> None:
        if 0 <= position < len(self._layers):
            self._choose(self._layers[position])

    def _choose(self, layer: Layer | None) -> None:
        for position, one in enumerate(self._layers):
            if one is layer:
                with QSignalBlocker(self):
                    self.setCurrentIndex(position)
        if layer is not self._chosen:
            self._chosen = layer
            self.layer_changed.emit(layer)
