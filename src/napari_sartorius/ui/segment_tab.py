"""The Segment tab: puts the panels together and turns a press on Run into a label layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_warning
from pydantic import ValidationError
from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui import image_source
from napari_sartorius.ui.advanced_section import AdvancedSection
from napari_sartorius.ui.forms import rule
from napari_sartorius.ui.image_panel import ImagePanel
from napari_sartorius.ui.model_panel import ModelPanel
from napari_sartorius.ui.run_panel import RunPanel, Tone
from napari_sartorius.ui.run_times import RunTimes
from napari_sartorius.ui.size_guide import SizeGuide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.ui.advanced_panel import AdvancedPanel
    from napari_sartorius.ui.engine_bridge import EngineBridge
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
        self._active: SegmentRequest | None = None
        self._notices: list[str] = []
        self._warmed = False
        self.image = ImagePanel(viewer)
        self.times = RunTimes()
        self.model = ModelPanel(cards, preferences.default_model)
        self.model.expected_seconds = self._expected_seconds
        self.advanced_section = AdvancedSection(preferences.default_device, self._on_advanced)
        self._result: ResultPanel | None = None
        self.guide = SizeGuide(viewer)
        self.run_panel = RunPanel()
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
        self.scroll = QScrollArea()
        self.scroll.setWidgetResizable(True)
        self.scroll.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll.setWidget(inside)  # while it is empty: otherwise Qt lays it out once more
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
        self.image.network_view_asked.connect(self._on_network_view)
        self.model.model_changed.connect(self._on_model)
        self._viewer.layers.events.inserted.connect(self._on_labels)
        self._viewer.layers.events.removed.connect(self._on_layer_removed)
        self.run_panel.run_clicked.connect(self.run)
        self.run_panel.cancel_clicked.connect(self.cancel)
        self._bridge.progressed.connect(self._on_progress)
        self._bridge.noticed.connect(self._on_notice)
        self._bridge.finished.connect(self._on_finished)
        self._bridge.failed.connect(self._on_failed)
        self._bridge.cancelled.connect(self._on_cancelled)
        self._bridge.device_described.connect(self._on_device)

    def _on_advanced(self, panel: AdvancedPanel) -> None:
        panel.device_changed.connect(self.ask_device)
        panel.diameter_shown.connect(self._on_guide)
        panel.changed.connect(self._move_guide)

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
        if self._active is not None or layer is None or card is None or self.obstacle():
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
            self._on_failed(str(error))
            return
        self._active = request
        self._notices = []
        self.run_panel.show_running()
        self._bridge.run(request)

    def cancel(self) -> None:
        """Stop the run; whatever it had found is dropped."""
        if self._active is None:
            return
        self._active = None
        self._bridge.cancel()
        self._on_cancelled()

    def would_lose_a_run(self) -> bool:
        """Whether a run goes on whose result the user still can get.

        It cannot be had any more once its image was removed from the viewer, which is also what
        napari does first when a script closes the viewer: scripts are not asked.
        """
        return self._active is not None and self._active.why_stale(self._viewer.layers) is None

    def ask_device(self) -> None:
        """Ask the worker which device a run would use, without making the user wait for it."""
        self.run_panel.show_device("Looking at the hardware …")
        self._bridge.describe_device(self.advanced_section.device)

    def stop(self) -> None:
        """Stop following the viewer; the tab is going away."""
        self._active = None
        self._viewer.layers.events.inserted.disconnect(self._on_labels)
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)
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

    def _on_guide(self, on: bool) -> None:
        layer = self.image.layer
        if on and layer is not None:
            self.guide.show(layer, self.advanced.shown_diameter)
        else:
            self.guide.hide()
            self.advanced.guide_button.setChecked(False)

    def _move_guide(self) -> None:
        layer = self.image.layer
        if self.guide.is_shown and layer is not None:
            self.guide.show(layer, self.advanced.shown_diameter)

    def _on_layer_removed(self, event: object = None) -> None:
        if self.advanced_section.is_made and not self.guide.is_shown:
            self.advanced.guide_button.setChecked(False)

    def _on_model(self, card: CardSummary | None) -> None:
        self.advanced_section.set_card(card)
        self.run_panel.show_obstacle(self.obstacle())

    def _on_device(self, reason: str, fallback: bool) -> None:
        if not self._warmed and self.obstacle() is None:
            self._warmed = True  # load the model now, while the user is still looking around
            self._bridge.warm_up(self.config())
        self.run_panel.show_device(reason, Tone.WARNING if fallback else Tone.QUIET)

    def _on_progress(self, stage: str, fraction: float, seconds_left: Any) -> None:
        if self._active is not None:
            self.run_panel.show_progress(stage, fraction, seconds_left)

    def _on_notice(self, text: str) -> None:
        from napari_sartorius.ui.summary import sentence

        text = sentence(text)
        if self._active is not None and text not in self._notices:
            self._notices.append(text)
            self.run_panel.warn(self._notices)

    def _on_finished(self, request: SegmentRequest, composed: ComposedLabels) -> None:
        if request is not self._active:  # cancelled after the last message had left the worker
            return
        self._active = None
        self.run_panel.show_idle()
        stale = request.why_stale(self._viewer.layers)
        if stale is not None:
            self.run_panel.say(stale, Tone.WARNING)
            show_warning(stale)
            return
        from napari_sartorius.ui.result_layers import add_result
        from napari_sartorius.ui.summary import finished_text, sentence

        add_result(self._viewer, self.result, request, composed)
        self._remember_time(request, composed)
        found = map(sentence, composed.metadata.get("notices", ()))
        notices = list(dict.fromkeys([*self._notices, *found]))
        self.run_panel.say(finished_text(composed))
        self.run_panel.warn(notices)
        for notice in notices:
            show_warning(notice)
        QTimer.singleShot(0, self._reveal_result)

    def _remember_time(self, request: SegmentRequest, composed: ComposedLabels) -> None:
        """Tell from now on what runs of this model take."""
        card = next((one for one in self.model.offered if one.name == request.config.model), None)
        if card is not None:
            facts = composed.metadata
            pixels = facts.get("pixels_seen", 0)
            self.times.note(card, request.config, facts.get("timings", {}), pixels)
        self.model.show_cost()

    def _reveal_result(self) -> None:
        self.scroll.ensureWidgetVisible(self.result, 0, 0)

    def _on_failed(self, sentence: str) -> None:
        self._active = None
        self.run_panel.show_idle()
        self.run_panel.say(sentence, Tone.ERROR)
        show_error(sentence)

    def _on_cancelled(self) -> None:
        self._active = None
        self.run_panel.show_idle()
        self.run_panel.say("Cancelled; nothing was added.")

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
