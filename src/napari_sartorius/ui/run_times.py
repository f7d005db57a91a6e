"""What runs have taken on this computer, to say what the next one will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.inference.cost import preset_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.ui.layer_writer import ComposedLabels
    from napari_sartorius.ui.segment_request import SegmentRequest
    from napari_sartorius.zoo.summary import CardSummary


class RunTimes:
    """Seconds per pixel and look, by model and device, as the last run of each has shown."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], float] = {}

    def note_result(
        self,
        offered: Sequence[CardSummary],
        request: SegmentRequest,
        composed: ComposedLabels,
    ) -> None:
        """Remember what a result took, as long as its model is among those that are offered."""
        card = next((one for one in offered if one.name == request.config.model), None)
        if card is not None:
            facts = composed.metadata
            pixels = facts.get("pixels_seen", 0)
            self.note(card, request.config, facts.get("timings", {}), pixels)

    def note(
        self, card: CardSummary, config: SegmentConfig, timings: Mapping[str, float], pixels: int
    ) -> None:
        """Remember a run: seconds per stage for so many pixels of an image."""
        seconds = sum(timings.values()) - timings.get("load", 0.0)  # a model is loaded once
        cost = preset_cost(card, config.preset).most
        if pixels > 0 and seconds > 0:
            self._seconds[card.name, config.device] = seconds / (pixels * cost)

    def expected(self, card: CardSummary, preset: str, device: str, pixels: int) -> float | None:
        """Seconds that a run will take; None before one was timed."""
        unit = self._seconds.get((card.name, device))
        return None if unit is None else unit * pixels * preset_cost(card, preset).most
