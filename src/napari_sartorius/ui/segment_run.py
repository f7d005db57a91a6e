"""A run of the Segment tab from its start to its end, as the panel at the bottom shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject, Signal

from napari_sartorius.ui.run_panel import Tone

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sartorius.ui.engine_bridge import EngineBridge
    from napari_sartorius.ui.layer_writer import ComposedLabels
    from napari_sartorius.ui.run_panel import RunPanel
    from napari_sartorius.ui.segment_request import SegmentRequest


class SegmentRun(QObject):
    """At most one run at a time; says how far it is, what must be known of it, and how it ended.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers a run can lose.
    bridge : EngineBridge
        Who runs the segmentation.
    panel : RunPanel
        Where all of it is shown.
    """

    found = Signal(object, object)
    """The `SegmentRequest` that was run and its `ComposedLabels`, which nobody has added yet."""

    def __init__(
        self,
        viewer: ViewerModel,
        bridge: EngineBridge,
        panel: RunPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._bridge = bridge
        self._panel = panel
        self._active: SegmentRequest | None = None
        self._notices: list[str] = []
        bridge.progressed.connect(self._on_progress)
        bridge.noticed.connect(self._on_notice)
        bridge.finished.connect(self._on_finished)
        bridge.failed.connect(self.fail)
        bridge.cancelled.connect(self._on_cancelled)

    @property
    def is_active(self) -> bool:
        """Whether a run goes on."""
        return self._active is not None

    def start(self, request: SegmentRequest) -> None:
        """Run; must not be called while a run goes on."""
        self._active = request
        self._notices = []
        self._panel.show_running()
        self._bridge.run(request)

    def cancel(self) -> None:
        """Stop the run; whatever it had found is dropped."""
        if self._active is None:
            return
        self._active = None
        self._bridge.cancel()
        self._on_cancelled()

    def forget(self) -> None:
        """Let what still comes of the run come to nothing; the tab is going away."""
        self._active = None

    def clear(self, *_: object) -> None:
        """Say no more of a run that has ended: another image is chosen."""
        if self._active is None:
            self._panel.say("")
            self._panel.warn(())

    def would_be_lost(self) -> bool:
        """Whether a run goes on whose result the user still can get.

        It cannot be had any more once its image was removed from the viewer, which is also what
        napari does first when a script closes the viewer: scripts are not asked.
        """
        return self._active is not None and self._active.why_stale(self._viewer.layers) is None

    def fail(self, sentence: str) -> None:
        """End the run, or say why it cannot begin."""
        self._active = None
        self._panel.show_idle()
        self._panel.say(sentence, Tone.ERROR)
        show_error(sentence)

    def _on_progress(self, stage: str, fraction: float, seconds_left: Any) -> None:
        if self._active is not None:
            self._panel.show_progress(stage, fraction, seconds_left)

    def _on_notice(self, text: str) -> None:
        from napari_sartorius.core.wording import sentence

        text = sentence(text)
        if self._active is not None and text not in self._notices:
            self._notices.append(text)
            self._panel.warn(self._notices)

    def _on_finished(self, request: SegmentRequest, composed: ComposedLabels) -> None:
        if request is not self._active:  # cancelled after the last message had left the worker
            return
        self._active = None
        self._panel.show_idle()
        stale = request.why_stale(self._viewer.layers)
        if stale is not None:
            self._panel.say(stale, Tone.WARNING)
            show_warning(stale)
            return
        from napari_sartorius.core.wording import sentence
        from napari_sartorius.ui.summary import finished_text

        self.found.emit(request, composed)
        found = map(sentence, composed.metadata.get("notices", ()))
        notices = list(dict.fromkeys([*self._notices, *found]))
        self._panel.say(finished_text(composed))
        self._panel.warn(notices)
        for notice in notices:
            show_warning(notice)

    def _on_cancelled(self) -> None:
        self._active = None
        self._panel.show_idle()
        self._panel.say("Cancelled; nothing was added.")
        self._panel.warn(())  # it was about a run that nobody waits for any more
