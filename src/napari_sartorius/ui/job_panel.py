"""How far a job of the Models tab is, Cancel, and one line on what happened last."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from napari_sartorius.core.wording import capital
from napari_sartorius.ui.forms import button, quiet
from napari_sartorius.ui.run_panel import Tone, duration
from napari_sartorius.ui.style import set_role

_STEPS = 1000


class JobPanel(QWidget):
    """The bar at the bottom of the Models tab; nothing of it is seen while there is nothing."""

    cancel_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.stage = quiet(role="body")
        self.cancel_button = button("Cancel", "plain", "cancel_model_job")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.message = quiet()
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.stage, 1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        layout.addWidget(self.message)
        self.cancel_button.clicked.connect(self.cancel_clicked)
        self.show_idle()
        self.say("")

    def show_running(self, text: str) -> None:
        """Switch to the look of a job."""
        self.bar.setRange(0, 0)
        self.cancel_button.setEnabled(True)
        self.cancel_button.setText("Cancel")
        for widget in (self.stage, self.cancel_button, self.bar):
            widget.show()
        self.stage.setText(text)
        self.say("")

    def show_progress(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        """Show how far the job is; a fraction of 0 means that nobody knows."""
        text = capital(stage)
        if fraction > 0.0:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(round(min(fraction, 1.0) * _STEPS))
            text += f" · {fraction:.0%}"
        if seconds_left is not None and seconds_left >= 1.0:
            text += f" · about {duration(seconds_left)} left"
        self.stage.setText(text)

    def show_cancelling(self) -> None:
        """Show that Cancel was heard."""
        self.cancel_button.setEnabled(False)
        self.stage.setText("Stopping …")

    def show_idle(self) -> None:
        """Switch back to the look of no job."""
        for widget in (self.stage, self.cancel_button, self.bar):
            widget.hide()

    def say(self, text: str, tone: Tone = Tone.QUIET, hint: str = "") -> None:
        """Show the status line, with a hint under the pointer; it stays until the next one."""
        self.message.setToolTip(hint)
        set_role(self.message, tone.value)
        self.message.setText(text)
        self.message.setVisible(bool(text))
