"""A run while it goes on, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.core.wording import capital
from napari_sartorius.training.curve_file import WORDS
from napari_sartorius.training.picture_names import NOW
from napari_sartorius.training.run_files import CURVE_FILE, PAUSE_FILE, PICTURES_FOLDER, STOP_FILE
from napari_sartorius.ui.forms import button, heading, quiet, scrolled
from napari_sartorius.ui.run_panel import Tone, duration
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.train.curves import (
    Curves,
    best_row,
    read_curve,
    score_before,
    selecting_figure,
)
from napari_sartorius.ui.train.outcome import Outcome
from napari_sartorius.ui.train.sample_pictures import SamplePictures

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.engine.trained_model import TrainedModel

_LOOK_MS = 1000
_STEPS = 1000
_TRAINING = "training, "
_FINISHING = "Finishing"


class RunPage(QWidget):
    """Progress, curves, samples, the three ways to end, and the outcome."""

    cancel_clicked = Signal()
    use_clicked = Signal()
    back_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self._steps = 1
        self._said = self._name = ""
        self._at = ""  # the step, once there was one
        self._rests = False  # has said that it waits; until then it was only asked to
        self._stopping = False
        self.title = heading("")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setRange(0, _STEPS)
        self.stage = quiet(role="body")
        self.best = quiet()
        self.pause_button = button("Pause", "plain", "train_pause")
        self.stop_button = button("Stop and keep the best", "plain", "train_stop")
        self.cancel_button = button("Cancel", "plain", "train_cancel")
        self.curves = Curves()
        self.samples = SamplePictures((NOW,), "What it finds now")
        self.outcome = Outcome()
        self.message = quiet()
        self._looking = QTimer(self)
        self._looking.setInterval(_LOOK_MS)
        self._looking.timeout.connect(self.look)
        self._build()
        self.pause_button.clicked.connect(self._on_pause)
        self.stop_button.clicked.connect(self.stop_and_keep)
        self.cancel_button.clicked.connect(self.cancel_clicked)
        self.outcome.use_button.clicked.connect(self.use_clicked)
        self.outcome.back_button.clicked.connect(self.back_clicked)

    def _build(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        column.addWidget(self.title)
        self._live = QWidget()
        live = QVBoxLayout(self._live)
        live.setContentsMargins(0, 0, 0, 0)
        live.setSpacing(6)
        for widget in (self.bar, self.stage, self.best):
            live.addWidget(widget)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.pause_button, 1)
        row.addWidget(self.cancel_button, 1)
        live.addLayout(row)
        self.stop_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        live.addWidget(self.stop_button)
        for widget in (self._live, self.message, self.outcome, self.curves, self.samples):
            column.addWidget(widget)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(content))

    @property
    def is_paused(self) -> bool:
        """Whether the run was told to wait."""
        return self._folder is not None and (self._folder / PAUSE_FILE).exists()

    def begin(self, folder: Path, name: str, steps: int) -> None:
        """Show a run that starts, or goes on."""
        self._folder, self._steps, self._said = folder, max(steps, 1), "Starting …"
        self._name = name
        self._at, self._rests, self._stopping = "", False, False
        self.title.setText(f"Training {name}")
        self.say("")
        self.outcome.hide()
        self.bar.setValue(0)
        self._live.show()
        self.samples.watch(folder / PICTURES_FOLDER)
        self._show_stage()
        self.look()
        self._looking.start()

    def show_steps(self, steps: int) -> None:
        """The run will have so many steps; a guess is good enough before."""
        if steps > 0:
            self._steps = steps

    def show_progress(self, stage: str, fraction: float, seconds_left: Any) -> None:
        """Show how far it is; what comes before the first step has a time of its own."""
        self.bar.setValue(round(min(max(fraction, 0.0), 1.0) * _STEPS))
        time = ""
        if seconds_left is not None and seconds_left >= 1:
            time = f" · about {duration(seconds_left)}"
        if stage.startswith(_TRAINING):
            self._at = stage.removeprefix(_TRAINING)
            self._said = f"Training, {self._at}{time and f'{time} left'}"
        else:
            self._said = f"{_FINISHING if self._at else 'Getting ready'}: {stage}{time}"
        self._show_stage()

    def show_rest(self, rests: bool) -> None:
        """The run says that it waits, or that it goes on."""
        self._rests = rests
        self._show_stage()

    def look(self) -> None:
        """Read what the run has written into its folder."""
        if self._folder is None:
            return
        rows = read_curve(self._folder / CURVE_FILE)
        figure = selecting_figure(self._folder)
        word = WORDS[figure]
        self.curves.setVisible(bool(rows))
        before = score_before(self._folder, rows, figure)
        self.curves.show_rows(rows, self._steps, figure, before)
        best = best_row(rows, figure)
        if best is None:
            self.best.hide()
        else:
            text = f"Best {word} so far {best[figure]:.3f}, at step {best['step']:.0f}"
            if before is not None:
                text = (
                    f"{text}; {before:.3f} before"
                    if best[figure] > before
                    else f"{capital(word)} {before:.3f} before; nothing better yet"
                )
            self.best.setText(f"{text}.")
            self.best.show()
        self.samples.refresh()
        self._show_stage()

    def stop_and_keep(self) -> None:
        """End the run after the present step with the best that it has."""
        if self._folder is None:
            return
        self._stopping = True
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / STOP_FILE).touch()
        (self._folder / PAUSE_FILE).unlink(missing_ok=True)
        self._show_stage()

    def show_outcome(self, result: TrainedModel) -> None:
        """Show what came of it."""
        self.look()
        self._end()
        self.say("")
        self.title.setText(result.name or "No better than before")
        if self._folder is not None:
            self.outcome.show_result(result, self._folder)
            self.samples.hide()

    def show_end(self, text: str, tone: Tone) -> None:
        """Say why there is no outcome."""
        self._end()
        self.title.setText(self._name)
        self.samples.hide()
        self.outcome.show_nothing(self._folder)
        self.say(text, tone)

    def say(self, text: str, tone: Tone = Tone.QUIET) -> None:
        """Show a line below the buttons."""
        set_role(self.message, tone.value)
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def stop(self) -> None:
        """Look no more."""
        self._looking.stop()

    def _end(self) -> None:
        self._looking.stop()
        self._live.hide()

    def _on_pause(self) -> None:
        if self._folder is None:
            return
        pause = self._folder / PAUSE_FILE
        if pause.exists():
            pause.unlink(missing_ok=True)
            self._rests = False
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            pause.touch()
        self._show_stage()

    def _show_stage(self) -> None:
        paused = self.is_paused
        self.pause_button.setText("Go on" if paused else "Pause")
        self.pause_button.setEnabled(not self._stopping)
        self.stop_button.setEnabled(bool(self._at) and not self._stopping)  # there is no best yet
        if self._stopping and self._said.startswith(_FINISHING):
            self.stage.setText(self._said)
        elif self._stopping:
            self.stage.setText("Stopping after this step, with a last look at the result …")
        elif paused and self._rests:
            at = f" at {self._at}" if self._at else ""
            self.stage.setText(f"Paused{at}; the processor is free.")
        elif paused and self._at:
            self.stage.setText("Pausing after this step …")
        elif paused:
            self.stage.setText(f"{self._said}. It pauses before the first step.")
        else:
            self.stage.setText(self._said)
