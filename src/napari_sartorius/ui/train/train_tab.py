"""The Train tab: choose a start and an effort, watch it learn, use the result."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QProgressBar, QVBoxLayout, QWidget

from napari_sartorius.ui.forms import Choice, add_row, button, heading, new_form, quiet, rule
from napari_sartorius.ui.run_panel import Tone, duration
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.train.curve import CurvePlot, read_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sartorius.engine.train_jobs import FineTuneJob, TrainedModel
    from napari_sartorius.io.project import Project
    from napari_sartorius.ui.job_bridge import JobBridge
    from napari_sartorius.zoo.ensemble_card import AnyCard

EFFORTS = {"quick": "Quick", "thorough": "Thorough"}
STEPS = {"quick": 300, "thorough": 2000}
_SAID = {
    "quick": "300 steps: some minutes on a computer without a graphics card.",
    "thorough": "2,000 steps: an hour or so without a graphics card.",
}


class TrainTab(QWidget):
    """Fine-tuning on the open project.

    Parameters
    ----------
    bridge : JobBridge
        Runs the training in a worker of its own; the viewer and the other tabs stay free.
    project : callable
        Gives the open project or None.
    save : callable
        Saves it; returns False when that failed.
    cards : callable
        Gives the models that can be started from.
    """

    model_made = Signal(str)
    """Emitted with the name of a new model that is in the list now."""
    use_asked = Signal(str)
    """The user wants to segment with this model."""

    def __init__(
        self,
        bridge: JobBridge,
        project: Callable[[], Project | None],
        save: Callable[[], bool],
        cards: Callable[[], Sequence[AnyCard]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._project = project
        self._save = save
        self._cards = cards
        self._job: FineTuneJob | None = None
        self._made: str | None = None
        self.start = Choice()
        self.effort = Choice()
        for key, title in EFFORTS.items():
            self.effort.addItem(title, key)
        self.name = QLineEdit()
        self.plan = quiet(role="body")
        self.time = quiet()
        self.run_button = button("Train", "primary", "train_run")
        self.stop_button = button("Stop and keep the best", "plain", "train_stop")
        self.cancel_button = button("Cancel", "plain", "train_cancel")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setRange(0, 1000)
        self.stage = quiet()
        self.curve = CurvePlot()
        self.message = quiet()
        self.use_button = button("Use this model now", "primary", "train_use")
        self._build()
        self._connect()
        self._show_idle()

    def _build(self) -> None:
        form = new_form()
        add_row(form, "Start from", self.start, "train_start")
        add_row(form, "Effort", self.effort, "train_effort")
        add_row(form, "Name", self.name, "train_name")
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for one in (self.run_button, self.stop_button, self.cancel_button):
            buttons.addWidget(one, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        layout.addWidget(heading("Learn from what was corrected"))
        layout.addLayout(form)
        layout.addWidget(self.time)
        layout.addWidget(rule())
        layout.addWidget(self.plan)
        layout.addLayout(buttons)
        for widget in (self.bar, self.stage, self.curve, self.message, self.use_button):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.effort.currentIndexChanged.connect(self._show_plan)
        self.start.currentIndexChanged.connect(self._on_start)
        self.name.textChanged.connect(self._show_plan)
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.stop_and_keep)
        self.cancel_button.clicked.connect(self._bridge.cancel)
        self.use_button.clicked.connect(self._on_use)
        self._bridge.progressed.connect(self._on_progress)
        self._bridge.noticed.connect(self._on_notice)
        self._bridge.finished.connect(self._on_finished)
        self._bridge.failed.connect(self._on_failed)
        self._bridge.cancelled.connect(self._on_cancelled)

    def refresh(self) -> None:
        """Look again at the project and the models, when the tab is shown."""
        if self._bridge.is_running:
            return
        chosen = self.start.currentData()
        with QSignalBlocker(self.start):
            self.start.clear()
            for card in filter(_can_learn, self._cards()):
                self.start.addItem(card.title or card.name, card.name)
            if chosen is not None:
                self.start.select_data(chosen)
        self._on_start()

    def obstacle(self) -> str | None:
        """One sentence saying why training cannot begin, or None."""
        project = self._project()
        if project is None:
            return "Open a project first, in the tab Project."
        if project.read_only is not None:
            return f"The project cannot be changed: {project.read_only}."
        images, cells = _done(project)
        if not images or not cells:
            return "Mark corrected images as done first: the model learns from those."
        if self.start.currentData() is None:
            return "There is no model to start from."
        name = self.name.text().strip()
        if not name or not all(c.isalnum() or c in "._-" for c in name):
            return "Give the model a name of letters, digits, dots and dashes."
        if name in {card.name for card in self._cards()}:
            return f"There is a model called {name} already: choose another name."
        return None

    def run(self) -> None:
        """Start training."""
        project = self._project()
        if self._bridge.is_running or project is None or self.obstacle() or not self._save():
            return
        from napari_sartorius.engine.train_jobs import FineTuneJob

        self._made = None
        name = self.name.text().strip()
        self._job = FineTuneJob(
            project=project.folder,
            folder=project.folder / "runs" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}",
            model=str(self.start.currentData()),
            name=name,
            effort=self.effort.currentData(),
        )
        self._show_running()
        self._bridge.run(self._job)

    def stop_and_keep(self) -> None:
        """End the run after the present step with the best that it has."""
        if self._job is None:
            return
        from napari_sartorius.training.run_files import STOP_FILE

        self.stop_button.setEnabled(False)
        self.stage.setText("Stopping after this step …")
        self._job.folder.mkdir(parents=True, exist_ok=True)
        (self._job.folder / STOP_FILE).touch()

    def stop(self) -> None:
        """End without a word; the dock is going away."""
        self._bridge.close()

    # -- what is shown ---------------------------------------------------------------------------

    def _on_start(self) -> None:
        card = self.start.currentData()
        project = self._project()
        if card is not None and project is not None:
            with QSignalBlocker(self.name):
                self.name.setText(_free_name(f"{card}-{project.folder.name}", self._cards()))
        self._show_plan()

    def _show_plan(self) -> None:
        self.time.setText(_SAID[self.effort.currentData()])
        obstacle = self.obstacle()
        project = self._project()
        if obstacle is not None or project is None:
            set_role(self.plan, "muted")
            self.plan.setText(obstacle or "")
        else:
            images, cells = _done(project)
            measured = (
                "a quarter of each is kept apart to measure the result"
                if images < 5
                else "one in five is kept apart to measure the result"
            )
            set_role(self.plan, "body")
            self.plan.setText(f"{cells:,} cells in {images} done images; {measured}.")
        self.run_button.setEnabled(obstacle is None and not self._bridge.is_running)

    def _show_idle(self) -> None:
        for one in (self.bar, self.stage, self.stop_button, self.cancel_button):
            one.hide()
        self.run_button.show()
        self.curve.setVisible(self._job is not None)
        self.use_button.setVisible(self._made is not None)
        self._show_plan()

    def _show_running(self) -> None:
        self._say("")
        self.run_button.hide()
        self.use_button.hide()
        self.stop_button.setEnabled(True)
        self.bar.setValue(0)
        self.curve.show_rows([], STEPS[self.effort.currentData()])
        for one in (self.bar, self.stage, self.stop_button, self.cancel_button, self.curve):
            one.show()
        self.stage.setText("Starting …")

    def _on_progress(self, stage: str, fraction: float, seconds_left: Any) -> None:
        self.bar.setValue(round(fraction * 1000))
        left = ""
        if seconds_left is not None and seconds_left >= 1:
            left = f" · about {duration(seconds_left)} left"
        if self.stop_button.isEnabled():
            self.stage.setText(f"{stage[:1].upper()}{stage[1:]}{left}")

    def _on_notice(self, text: str) -> None:
        self._show_curve()
        if not text.startswith("step "):
            self._say(text)

    def _show_curve(self) -> None:
        if self._job is not None:
            self.curve.show_rows(
                read_curve(self._job.folder / "curve.csv"), STEPS[self._job.effort]
            )

    def _on_finished(self, result: TrainedModel) -> None:
        self._show_curve()
        self._made = result.name
        score = f"{result.after:.3f}"
        if result.name is None:
            self._say(
                f"After {result.steps} steps it was no better than before (score {score}), so "
                "nothing was added. More corrected images help most.",
                Tone.WARNING,
            )
        elif result.before is None:
            self._say(f"{result.name} is in the list of models (score {score}).")
        else:
            self._say(
                f"{result.name} is in the list of models: score {result.before:.3f} before, "
                f"{score} now, on cells that it was not trained on."
            )
        self._on_start()  # a name for the next one
        self._show_idle()
        if result.name is not None:
            self.model_made.emit(result.name)

    def _on_failed(self, sentence: str) -> None:
        self._show_idle()
        self._say(sentence, Tone.ERROR)
        show_error(sentence)

    def _on_cancelled(self) -> None:
        self._show_idle()
        self._say("Cancelled; nothing was added.")

    def _on_use(self) -> None:
        if self._made is not None:
            self.use_asked.emit(self._made)

    def _say(self, text: str, tone: Tone = Tone.QUIET) -> None:
        set_role(self.message, tone.value)
        self.message.setText(text)
        self.message.setVisible(bool(text))


def _done(project: Project) -> tuple[int, int]:
    """Images that are done, and the cells in them."""
    done = [image for image in project.images if project.status(image) == "done"]
    return len(done), sum(project.object_count(image.id) for image in done)


def _can_learn(card: AnyCard) -> bool:
    """Whether a model can be trained; of an ensemble each member can, on its own."""
    from napari_sartorius.zoo.card import ModelCard

    return isinstance(card, ModelCard)


def _free_name(wish: str, cards: Sequence[AnyCard]) -> str:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in wish)
    taken, name, number = {card.name for card in cards}, plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name
