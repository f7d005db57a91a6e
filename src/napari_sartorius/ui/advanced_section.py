"""The section "Advanced" as the Segment tab sees it, whether it was ever opened or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.ui.forms import Fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_sartorius.ui.advanced_panel import AdvancedPanel
    from napari_sartorius.zoo.summary import CardSummary


class AdvancedSection(Fold):
    """Keeps what its panel must show until the panel is made.

    Parameters
    ----------
    default_device : str
        Device to start with.
    on_made : callable
        Called with the panel once, when it was made.
    """

    def __init__(
        self,
        default_device: str,
        on_made: Callable[[AdvancedPanel], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Advanced", "section", self._make_panel, parent)
        self._default_device = default_device
        self._on_made = on_made
        self._card: CardSummary | None = None
        self._layer: tuple[float | None, tuple[int, int] | None] = None, None

    @property
    def panel(self) -> AdvancedPanel:
        """What is inside; made now if it was not yet."""
        return self.content

    @property
    def device(self) -> str:
        """The device that the user asks for."""
        return str(self.panel.device.currentData()) if self.is_made else self._default_device

    def values(self) -> dict[str, Any]:
        """Return the fields of `SegmentConfig` that the user has set here, and the device."""
        return self.panel.values() if self.is_made else {"device": self._default_device}

    def set_card(self, card: CardSummary | None) -> None:
        """Show the values of another model."""
        self._card = card
        if self.is_made:
            self.panel.set_card(card.whole() if card is not None else None)

    def set_layer(self, size: float | None, shape: tuple[int, int] | None = None) -> None:
        """Show the pixel size (µm) that the image brings along, and what its shape decides."""
        self._layer = size, shape
        if self.is_made:
            self.panel.set_layer(size, shape)

    def _make_panel(self) -> AdvancedPanel:
        from napari_sartorius.ui.advanced_panel import AdvancedPanel

        panel = AdvancedPanel(self._default_device)
        panel.set_card(self._card.whole() if self._card is not None else None)
        panel.set_layer(*self._layer)
        self._on_made(panel)
        return panel
