"""Lets napari make what it draws over a labels layer when it is needed, not with the layer.

Every labels layer has an overlay for the polygon tool and one for the brush. Making what draws
them takes a third of the time that adding the layer takes, and most results are looked at, not
painted on. napari makes an overlay when it becomes visible: so they stay invisible until their
tool is chosen. That goes by a private name of `Layer`; where it is missing, nothing changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from napari.components.overlays import Overlay
    from napari.layers import Layer

AnyLayer = TypeVar("AnyLayer", bound="Layer")

_OF_TOOLS = ("polygon", "brush_stroke")


def make_overlays_late(layer: AnyLayer) -> AnyLayer:
    """Let the overlays of the tools be made when a tool is chosen; return the layer.

    Parameters
    ----------
    layer : Layer
        Not yet in a viewer; only labels layers have tools that need overlays.
    """
    overlays = getattr(layer, "_overlays", {})
    for name in _OF_TOOLS:
        overlay = overlays.get(name)
        if hasattr(overlay, "enabled"):
            _make_late(overlay)
    return layer


def _make_late(overlay: Overlay) -> None:
    overlay.visible = False

    def on_enabled() -> None:
        if overlay.enabled:
            overlay.events.enabled.disconnect(on_enabled)
            overlay.visible = True

    overlay.events.enabled.connect(on_enabled)
