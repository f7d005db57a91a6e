"""Follows a run through its folder: one that went on when its viewer was gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sartorius.core.progress import TimeLeft
from napari_sartorius.training.run_state import read_state

if TYPE_CHECKING:
    from pathlib import Path

_LOOK_MS = 1000


class RunWatcher(QObject):
    """Reads ``state.json`` again and again, and tells what a `JobBridge` would tell."""

    progressed = Signal(str, float, object)
    """Stage, fraction 0..1, seconds left or None."""
    finished = Signal(object)
    """The `TrainedModel`."""
    failed = Signal(str)
    """One sentence."""
    cancelled = Signal()
    rested = Signal(bool)
    """Whether the run waits, as far as its folder tells."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self._left = TimeLeft()
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self.look)

    @property
    def is_watching(self) -> bool:
        """Whether the end of a run is waited for."""
        return self._folder is not None

    def watch(self, folder: Path) -> None:
        """Follow the run in a folder until it ends."""
        self._folder, self._left = folder, TimeLeft()
        self._timer.start()
        self.look()

    def stop(self) -> None:
        """Follow nothing any more; the run goes on."""
        self._timer.stop()
        self._folder = None

    def look(self) -> None:
        """Tell what the folder says now."""
        from napari_sartorius.engine.trained_model import result_of

        if self._folder is None:
            return
        state = read_state(self._folder)
        if state is not None and state.is_worked_on():
            done = state.step / state.steps if state.steps else 0.0
            words = f"training, step {state.step} of {state.steps}" if state.step else "preparing"
            self.progressed.emit(words, done, self._left.update(done, time.monotonic()))
            self.rested.emit(state.state == "paused")
            return
        self.stop()
        result = result_of(state) if state is not None else None
        if result is not None:
            self.finished.emit(result)
        elif state is not None and state.state == "cancelled":
            self.cancelled.emit()
        elif state is not None and state.sentence:
            self.failed.emit(state.sentence)
        else:
            self.failed.emit(
                "The training stopped unexpectedly: continue it from its last checkpoint under "
                "“Train another”."
            )
