"""Menus of labels layers that guess which one was found and which one is the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.ui.evaluate.sides import is_comparable
from napari_sartorius.ui.layer_choice import LayerChoice

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

_WORDS = ("truth", "annotation", "manual", "reference")


class _LikelyLayer(LayerChoice):
    """Guesses again with each new layer, until the user has chosen."""

    _by_user = False

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(viewer, is_comparable, "no labels yet", parent)
        self._guess()
        self.activated.connect(self._on_activated)

    def choose(self, layer: Layer) -> None:
        """Choose a layer; it stays until it goes away."""
        super().choose(layer)
        self._by_user = True

    def refresh(self, event: object = None) -> None:
        """Read the viewer's layers again; guess when the choice is gone."""
        before = self._chosen
        super().refresh(event)
        if self._chosen is not before:
            self._by_user = False
            self._guess()

    def _likely(self) -> list[Layer]:
        raise NotImplementedError

    def _on_activated(self, position: int) -> None:
        self._by_user = True

    def _on_inserted(self, event: object) -> None:
        self.refresh()
        if not self._by_user:
            self._guess()

    def _guess(self) -> None:
        likely = self._likely()
        if likely:
            self._choose(likely[0])


class FoundLayer(_LikelyLayer):
    """Takes the newest layer that does not sound like the truth.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer to follow.
    """

    def _likely(self) -> list[Layer]:
        return [one for one in self._layers if not _sounds_true(one)] or self._layers


class TruthLayer(_LikelyLayer):
    """Takes the newest layer that sounds like the truth, else the oldest.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer to follow.
    """

    def _likely(self) -> list[Layer]:
        return [one for one in self._layers if _sounds_true(one)] or self._layers[::-1]


def _sounds_true(layer: Layer) -> bool:
    return any(word in layer.name.lower() for word in _WORDS)
