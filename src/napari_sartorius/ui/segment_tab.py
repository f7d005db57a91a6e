"""The Segment tab: puts the panels together and turns a press on Run into a label layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from pydantic import ValidationError
from qtpy.QtCore import QSignalBlocker, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui import image_source
from napari_sartorius.ui.advanced_section import AdvancedSection
from napari_sartorius.ui.forms import reveal, rule, scrolled
from napari_sartorius.ui.image_panel import ImagePanel
from napari_sartorius.ui.model_panel import ModelPanel
from napari_sartorius.ui.run_panel import RunPanel, Tone
from napari_sartorius.ui.run_times import RunTimes
from napari_sartorius.ui.segment_run import SegmentRun
from napari_sartorius.ui.spare_layer import SpareLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.ui.advanced_panel import AdvancedPanel
    from napari_sartorius.ui.engine_bridge import EngineBridge
    from napari_sartorius.ui.guide_switch import GuideSwitch
    from napari_sartorius.ui.image_source import PlaneChoice
    from napari_sartorius.ui.layer_writer import ComposedLabels
    from napari_sartorius.ui.result_panel import ResultPanel
    from napari_sartorius.ui.result_view import ResultView
    from napari_sartorius.ui.segment_request import SegmentRequest
    from napari_sartorius.ui.settings import Preferences
    from napari_sartorius.zoo.ensemble_card import AnyCard
    from napari_sartorius.zoo.summary import CardSummary


class SegmentTab(QWidget):
    """Choose an image and a model, run, and look at the result.

    What is not seen at first (the content of "Advanced", the section "Result") is imported and
    made when it is needed.

    Parameters
    ----------
    viewer : ViewerModel
        Where images come from and results go to.
    bridge : EngineBridge
        Who runs the segmentation.
    cards : sequence of CardSummary, ModelCard or EnsembleCard
        The models to offer.
    preferences : Preferences
        What to start with.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        bridge: EngineBridge,
        cards: Sequence[AnyCard | CardSummary],
        preferences: Preferences,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._bridge = bridge
        self._warmed = False
        self.image = ImagePanel(viewer)
        self.times = RunTimes()
        self.model = ModelPanel(cards, preferences.default_model)
        self.model.expected_seconds = self._expected_seconds
        self.advanced_section = AdvancedSection(preferences.default_device, self._on_advanced)
        self._result: ResultPanel | None = None
        self._guide: GuideSwitch | None = None
        self.run_panel = RunPanel()
        self._running = SegmentRun(viewer, bridge, self.run_panel, self)
        self._spare = SpareLayer(viewer, self._next_image, self)
        self._build()
        self._connect()
        self.advanced_section.set_card(self.model.chosen)
        self._on_image()
        self._on_labels()

    @property
    def advanced(self) -> AdvancedPanel:
        """What is inside "Advanced"."""
        return self.advanced_section.panel

    @property
    def result(self) -> ResultPanel:
        """The section "Result"."""
        if self._result is None:
            from napari_sartorius.ui.result_panel import ResultPanel

            self._result = ResultPanel(self._viewer, self.scroll.widget())
            self._result.copy_asked.connect(self._on_copy)
            self._column.insertWidget(self._column.indexOf(self.advanced_section) + 1, self._result)
        return self._result

    def _build(self) -> None:
        inside = QWidget()
        column = self._column = QVBoxLayout(inside)
        column.setContentsMargins(2, 0, 8, 6)
        column.setSpacing(8)
        self.scroll = scrolled(inside)  # while it is empty: otherwise Qt lays it out once more
        for panel in (self.image, rule(), self.model, rule(), self.advanced_section):
            column.addWidget(panel)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        layout.addWidget(self.scroll, 1)
        layout.addWidget(self.run_panel)

    def _connect(self) -> None:
        self.image.changed.connect(self._on_image)
        self.image.layers.layer_changed.connect(self._running.clear)
        self.image.network_view_asked.connect(self._on_network_view)
        self.model.model_changed.connect(self._on_model)
        self._viewer.layers.events.inserted.connect(self._on_labels)
        self.run_panel.run_clicked.connect(self.run)
        self.run_panel.cancel_clicked.connect(self.cancel)
        self._running.found.connect(self._on_found)
        self._bridge.device_described.connect(self._on_device)

    def _on_advanced(self, panel: AdvancedPanel) -> None:
        from napari_sartorius.ui.guide_switch import GuideSwitch

        panel.device_changed.connect(self.ask_device)
        self._guide = GuideSwitch(self._viewer, self.image, panel)

    def _on_labels(self, event: object = None) -> None:
        """Make the section "Result" as soon as there are labels that can become a result."""
        from napari.layers import Labels

        if self._result is None and any(isinstance(one, Labels) for one in self._viewer.layers):
            self.result.layers.refresh()

    def offer_models(self, cards: Sequence[AnyCard], choose: str = "") -> None:
        """Offer these models from now on; what was set for the chosen one stays while it is there.

        `choose` names the model to choose instead.
        """
        before, cell_type = self.model.card, self.model.cell_type_value
        with QSignalBlocker(self.model):
            self.model.set_cards(cards, choose or (before.name if before is not None else ""))
        if self.model.card == before:
            self.model.cell_type.select_data(cell_type)
        else:
            self._on_model(self.model.chosen)

    def obstacle(self) -> str | None:
        """Return one sentence saying why Run is disabled, or None when it is not."""
        layer = self.image.layer
        if layer is None:
            return "Add an image to the viewer first."
        if self.model.chosen is None:
            return "Install a model first: none was found."
        return image_source.why_unusable(layer)

    def config(self) -> SegmentConfig:
        """Return the configuration that the controls describe.

        Raises
        ------
        UserError
            If a value is out of its range.
        """
        card = self.model.chosen
        if card is None:
            raise UserError("Install a model first: none was found.")
        from napari_sartorius.inference.config import SegmentConfig

        try:
            return SegmentConfig(
                model=card.name,
                cell_type=self.model.cell_type_value,
                preset=self.model.preset.value,
                channel=self.image.channel_value,
                **self.advanced_section.values(),
            )
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UserError(f"The setting '{where}' cannot be used: {first['msg']}.") from error

    def run(self) -> None:
        """Start segmenting what is chosen; does nothing while a run is going on."""
        layer, card = self.image.layer, self.model.chosen
        if self._running.is_active or layer is None or card is None or self.obstacle():
            return
        from napari_sartorius.ui.segment_request import SegmentRequest

        try:
            request = SegmentRequest.from_layer(
                layer,
                self.image.plane_choice(),
                self.config(),
                card.title or card.name,
                list(card.categories),
            )
        except UserError as error:
            self._running.fail(str(error))
            return
        self._running.start(request)

    def cancel(self) -> None:
        """Stop the run; whatever it had found is dropped."""
        self._running.cancel()

    def would_lose_a_run(self) -> bool:
        """Whether a run goes on whose result the user still can get."""
        return self._running.would_be_lost()

    def ask_device(self) -> None:
        """Ask the worker which device a run would use, without making the user wait for it."""
        self.run_panel.show_device("Looking at the hardware …")
        self._bridge.describe_device(self.advanced_section.device)

    def stop(self) -> None:
        """Stop following the viewer; the tab is going away."""
        self._spare.stop()
        self._running.forget()
        self._viewer.layers.events.inserted.disconnect(self._on_labels)
        if self._guide is not None:
            self._guide.stop()
        self.image.stop()
        if self._result is not None:
            self._result.stop()

    def _on_image(self) -> None:
        layer = self.image.layer
        if layer is None:
            self.advanced_section.set_layer(None)
        else:
            self.advanced_section.set_layer(
                image_source.pixel_size_um(layer), image_source.plane_shape(layer)
            )
        self.run_panel.show_obstacle(self.obstacle())
        self.model.show_cost()

    def _expected_seconds(self, card: CardSummary, preset: str) -> float | None:
        """Seconds that a run would take, as far as earlier ones tell."""
        layer = self.image.layer
        if layer is None:
            return None
        planes = len(self.image.plane_choice().indices)
        pixels = planes * math.prod(image_source.plane_shape(layer))
        return self.times.expected(card, preset, self.advanced_section.device, pixels)

    def _on_model(self, card: CardSummary | None) -> None:
        self.advanced_section.set_card(card)
        self.run_panel.show_obstacle(self.obstacle())

    def _on_device(self, reason: str, fallback: bool) -> None:
        if not self._warmed and self.obstacle() is None:
            self._warmed = True  # load the model now, while the user is still looking around
            self._bridge.warm_up(self.config())
            self._spare.prepare_soon()
        self.run_panel.show_device(reason, Tone.WARNING if fallback else Tone.QUIET)

    def _on_found(self, request: SegmentRequest, composed: ComposedLabels) -> None:
        from napari_sartorius.ui.result_layers import add_result

        add_result(self._viewer, self.result, self._spare, request, composed)
        self.times.note_result(self.model.offered, request, composed)
        self.model.show_cost()
        QTimer.singleShot(0, self._reveal_result)
        self._spare.prepare_soon()

    def _next_image(self) -> tuple[Image, PlaneChoice] | None:
        """What Run would segment now; None while it could not, or while a run goes on."""
        layer = self.image.layer
        if layer is None or self._running.is_active or self.obstacle():
            return None
        return layer, self.image.plane_choice()

    def _reveal_result(self) -> None:
        reveal(self.scroll, self.result)

    def _on_network_view(self) -> None:
        layer, card = self.image.layer, self.model.card
        if layer is None or card is None:
            return
        from napari_sartorius.ui.network_view import add_network_view

        try:
            add_network_view(self._viewer, layer, card, self.config())
        except UserError as error:
            self.run_panel.say(str(error), Tone.ERROR)
            show_error(str(error))

    def _on_copy(self, view: ResultView) -> None:
        from napari_sartorius.ui.result_layers import add_shown_copy

        add_shown_copy(self._viewer, view)
