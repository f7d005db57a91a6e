"""Offers to go on with a run that was cut short, or to throw it away."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from napari_sartorius.core.wording import plural
from napari_sartorius.ui.forms import button, quiet
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_sartorius.training.run_state import RunState

_WHY = {
    "running": "was cut short",
    "paused": "was paused",
    "cancelled": "was cancelled",
    "failed": "failed",
}


class UnfinishedRuns(QFrame):
    """The latest run that can go on; the next one when that is discarded."""

    continue_asked = Signal(object, object)
    """Folder and `RunState`."""
    discard_asked = Signal(object)
    """Folder."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "card")
        self._runs: list[tuple[Path, RunState]] = []
        self.text = quiet(role="body")
        self.continue_button = button("Continue", "plain", "train_continue")
        self.discard_button = button("Discard", "plain", "train_discard")
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.continue_button, 1)
        row.addWidget(self.discard_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self.text)
        layout.addLayout(row)
        self.continue_button.clicked.connect(lambda: self.continue_asked.emit(*self._runs[0]))
        self.discard_button.clicked.connect(lambda: self.discard_asked.emit(self._runs[0][0]))
        self.hide()

    def show_runs(self, runs: Sequence[tuple[Path, RunState]]) -> None:
        """Offer these, the latest first."""
        self._runs = list(runs)
        self.setVisible(bool(runs))
        if not runs:
            return
        state = runs[0][1]
        text = f"{state.name} {_WHY[state.state]} at step {state.step:,}"
        if state.steps:
            text += f" of {state.steps:,}"
        text += f", {moment(state.heartbeat)}."
        if state.state == "failed" and state.sentence:
            text += f" {state.sentence.rstrip('.')}."
        if len(runs) > 1:
            others = len(runs) - 1
            text += f" {plural(others, 'more run')} can go on."
        self.text.setText(text)


def moment(seconds: float, now: datetime | None = None) -> str:
    """A time since 1970 as people say it: ``17:04``, ``yesterday 17:04``, ``3 May 2025, 17:04``."""
    then, now = datetime.fromtimestamp(seconds), now or datetime.now()
    clock = f"{then:%H:%M}"
    days = (now.date() - then.date()).days
    if days == 0:
        return f"today {clock}"
    if days == 1:
        return f"yesterday {clock}"
    year = "" if then.year == now.year else f" {then.year}"
    return f"{then.day} {then:%B}{year}, {clock}"
