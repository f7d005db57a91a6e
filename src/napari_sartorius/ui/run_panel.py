"""Run and Cancel, how far it is, and one line on what happened last."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from napari_sartorius.core.wording import capital
from napari_sartorius.ui.forms import button, quiet, rule, set_shown
from napari_sartorius.ui.single_shot import single_shot
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = 1000
# With software OpenGL each change redraws the window with its canvas: 20 ms of both cores, which
# the network and what follows it then lack.
_PROGRESS_MS = 80
# The bar moves to and fro when no figure has come after so long: a warm engine is sooner.
_BUSY_MS = 500


class Tone(enum.Enum):
    """How a message looks."""

    QUIET = "muted"
    WARNING = "warning"
    ERROR = "error"


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``8 s``, ``2 min``, ``1 h 5 min``."""
    whole = max(round(seconds), 0)
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


class RunPanel(QWidget):
    """The bar at the bottom of the Segment tab; it stays in sight while the rest scrolls."""

    run_clicked = Signal()
    cancel_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.device_text = quiet()
        self.run_button = button("Run", "primary", "run")
        self.run_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.cancel_button = button("Cancel", "plain", "cancel")
        self.bar = QProgressBar()
        self.bar.setRange(0, _STEPS)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.stage = quiet()
        self.message = quiet()
        self.notices = quiet(role="warning")
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.run_button, 1)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        for widget in (rule(), self.device_text):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        for widget in (self.bar, self.stage, self.message, self.notices):
            layout.addWidget(widget)
        self.run_button.clicked.connect(self.run_clicked)
        self.cancel_button.clicked.connect(self.cancel_clicked)
        self._running = False
        self._obstacle: str | None = None
        self._progress: tuple[str, float, float | None] = ("", 0.0, None)
        self._progress_timer = single_shot(self, _PROGRESS_MS, self._draw_progress)
        self._busy_timer = single_shot(self, _BUSY_MS, self._show_busy)
        self.warn(())
        self.show_idle()

    def show_device(self, text: str, tone: Tone = Tone.QUIET) -> None:
        """Say what a run will use and why."""
        set_role(self.device_text, tone.value)
        self.device_text.setText(text)

    def show_obstacle(self, sentence: str | None) -> None:
        """Disable Run and say why, or enable it with None."""
        self._obstacle = sentence
        if not self._running:
            self.run_button.setEnabled(sentence is None)
            self._show_stage(sentence or "")

    def show_running(self) -> None:
        """Switch to the look of a run."""
        self._running = True
        self.run_button.setEnabled(False)
        self.cancel_button.show()
        # Set while hidden, for a visible bar repaints at once.
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(0)
        self.bar.show()
        self._busy_timer.start()
        self._show_stage("Starting the engine; the first run takes a few seconds longer.")
        self.say("")
        self.warn(())

    def show_progress(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        """Show how far the run is, the latest of what comes within some milliseconds."""
        if not self._running:
            return
        self._busy_timer.stop()
        self._progress = (stage, fraction, seconds_left)
        if not self._progress_timer.isActive():
            self._progress_timer.start()

    def _show_busy(self) -> None:
        self.bar.setRange(0, 0)

    def _draw_progress(self) -> None:
        stage, fraction, seconds_left = self._progress
        text = f"{capital(stage)} · {fraction:.0%}"
        if seconds_left is not None and seconds_left >= 1.0:
            text += f" · about {duration(seconds_left)} left"
        # a bar that is seen would paint itself at once, and again with the text
        self.setUpdatesEnabled(False)
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(round(min(max(fraction, 0.0), 1.0) * _STEPS))
        self._show_stage(text)
        self.setUpdatesEnabled(True)

    def show_idle(self) -> None:
        """Switch back to the look of no run."""
        self._running = False
        self._progress_timer.stop()
        self._busy_timer.stop()
        self.cancel_button.hide()
        self.bar.hide()
        self.show_obstacle(self._obstacle)

    def say(self, text: str, tone: Tone = Tone.QUIET) -> None:
        """Show the status line; it stays until the next one."""
        set_role(self.message, tone.value)
        self.message.setText(text)
        set_shown(self.message, bool(text))

    def warn(self, notices: Sequence[str]) -> None:
        """Show what the user must know of this run, such as a limit that was reached."""
        self.notices.setText(" ".join(notices))
        set_shown(self.notices, bool(notices))

    def _show_stage(self, text: str) -> None:
        self.stage.setText(text)
        set_shown(self.stage, bool(text))
