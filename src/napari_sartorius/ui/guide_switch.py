"""The button that shows the cell diameter on the image, and the circle that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_sartorius.ui.size_guide import SizeGuide

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sartorius.ui.advanced_panel import AdvancedPanel
    from napari_sartorius.ui.image_panel import ImagePanel


class GuideSwitch(QObject):
    """Keeps circle, button and number of one mind, whoever changes one of them.

    Parameters
    ----------
    viewer : ViewerModel
        Where the circle appears, and where it may be removed by hand.
    image : ImagePanel
        On whose layer it is drawn.
    panel : AdvancedPanel
        Has the button and the diameter.
    """

    def __init__(self, viewer: ViewerModel, image: ImagePanel, panel: AdvancedPanel) -> None:
        super().__init__(panel)
        self._viewer, self._image, self._panel = viewer, image, panel
        self._guide = SizeGuide(viewer)
        panel.diameter_shown.connect(self._on_switch)
        panel.changed.connect(self._on_number)
        viewer.layers.events.removed.connect(self._on_layer_removed)

    def stop(self) -> None:
        """Stop following the viewer."""
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)

    def _on_switch(self, on: bool) -> None:
        layer = self._image.layer
        if on and layer is not None:
            self._guide.show(layer, self._panel.shown_diameter)
        else:
            self._guide.hide()
            self._panel.guide_button.setChecked(False)

    def _on_number(self) -> None:
        layer = self._image.layer
        if self._guide.is_shown and layer is not None:
            self._guide.show(layer, self._panel.shown_diameter)

    def _on_layer_removed(self, event: object = None) -> None:
        if not self._guide.is_shown:
            self._panel.guide_button.setChecked(False)
