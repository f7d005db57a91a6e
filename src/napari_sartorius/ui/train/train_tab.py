"""The Train tab: choose and look at the plan, watch it learn, use the result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import sentence
from napari_sartorius.training.run_files import CANCEL_FILE, LAST_FILE
from napari_sartorius.training.run_state import (
    discard,
    live_runs,
    read_state,
    unfinished_runs,
)
from napari_sartorius.ui.evaluate.in_background import InBackground
from napari_sartorius.ui.run_panel import Tone, duration
from napari_sartorius.ui.train import questions
from napari_sartorius.ui.train.data_choice import PROJECT
from napari_sartorius.ui.train.looking import Looking
from napari_sartorius.ui.train.planning import Planning
from napari_sartorius.ui.train.run_places import RunPlaces
from napari_sartorius.ui.train.run_watcher import RunWatcher
from napari_sartorius.ui.train.setup_page import SetupPage
from napari_sartorius.ui.train.wish import Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari.components import ViewerModel

    from napari_sartorius.engine.train_jobs import FineTuneJob
    from napari_sartorius.engine.trained_model import TrainedModel
    from napari_sartorius.io.project import Project
    from napari_sartorius.training.run_state import RunState
    from napari_sartorius.ui.engine_client import EngineClient
    from napari_sartorius.ui.job_bridge import JobBridge
    from napari_sartorius.ui.train.run_page import RunPage
    from napari_sartorius.zoo.ensemble_card import AnyCard

_MUCH_S = 60.0
"""Whoever cancels a longer run is asked whether that is meant."""
_PAUSED, _GOING_ON = "paused after step", "going on"
_FOR_THE_LOG = (" tensors ", "resumed at step", "of what was learnt: ")
"""What a run tells that the page shows anyway, or that nobody who looks at cells asks for."""


class TrainTab(QWidget):
    """Fine-tuning on corrected images.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers can be learnt from.
    bridge : JobBridge
        Runs the training in a worker of its own; the viewer and the other tabs stay free.
    make_client : callable
        Makes the worker that plans and previews.
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
        viewer: ViewerModel,
        bridge: JobBridge,
        make_client: Callable[[], EngineClient],
        project: Callable[[], Project | None],
        save: Callable[[], bool],
        cards: Callable[[], Sequence[AnyCard]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._places = RunPlaces(project)
        self._save = save
        self._job: FineTuneJob | None = None
        self._made: str | None = None
        self._began = 0.0
        self._run_page: RunPage | None = None
        self.setup = SetupPage(viewer, project, cards)
        self.looking = Looking(make_client, self)
        self._planning = Planning(self.setup, self.looking, lambda: self.is_running, self)
        self._writing = InBackground(self)
        self._watcher = RunWatcher(self)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.setup)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pages)
        self._connect()
        self.setup.refresh()

    @property
    def plan(self) -> object:
        """The plan that is shown."""
        return self.setup.plan

    @property
    def run_page(self) -> RunPage:
        """What a run shows; made, and its plots imported, by the first run."""
        if self._run_page is None:
            from napari_sartorius.ui.train.run_page import RunPage

            page = self._run_page = RunPage()
            page.cancel_clicked.connect(self.cancel)
            page.use_clicked.connect(self._on_use)
            page.back_clicked.connect(self._show_setup)
            self.pages.addWidget(page)
        return self._run_page

    @property
    def is_running(self) -> bool:
        """Whether a training goes on, or is about to."""
        return self.ends_with_us or self._watcher.is_watching

    @property
    def ends_with_us(self) -> bool:
        """Whether a training goes on that closing the dock would end."""
        return self._bridge.is_running or self._writing.is_running

    @property
    def has_checkpoint(self) -> bool:
        """Whether the present run could go on later."""
        return self._job is not None and (self._job.folder / LAST_FILE).is_file()

    def _connect(self) -> None:
        setup = self.setup
        setup.run_clicked.connect(self.run)
        setup.unfinished.continue_asked.connect(self.go_on)
        setup.unfinished.discard_asked.connect(self.discard)
        self._writing.finished.connect(lambda job: self._bridge.run(job))
        self._writing.failed.connect(self._on_failed)
        self._bridge.noticed.connect(self._on_notice)
        self._watcher.rested.connect(lambda rests: self.run_page.show_rest(rests))
        for source in (self._bridge, self._watcher):
            source.progressed.connect(self._on_progress)
            source.finished.connect(self._on_finished)
            source.failed.connect(self._on_failed)
            source.cancelled.connect(self._on_cancelled)

    # -- what the user asks for ------------------------------------------------------------------

    def refresh(self) -> None:
        """Look again at the project, the layers and the models, when the tab is shown."""
        if self.is_running:
            return
        self.setup.refresh()
        self._offer_unfinished()
        live = live_runs(self._places.to_offer())
        if live:  # its viewer has crashed, or it is another one's
            self._attach(*live[0])

    def run(self) -> None:
        """Start training."""
        ready = self.setup.obstacle() is None and self.setup.plan.is_ready
        if self.is_running or not ready or not self._save():
            return
        wish = Wish.of(self.setup)
        job = wish.job(wish.run_folder(self._places.for_new(self.setup.data.chosen == PROJECT)))
        self._begin(job, self._planning.steps)
        if wish.path is None:
            self._writing.run(lambda tell: wish.write_layers(job))
        else:
            self._bridge.run(job)

    def go_on(self, folder: Path, state: RunState) -> None:
        """Continue a run that was cut short."""
        from napari_sartorius.engine.train_jobs import continued

        if self.is_running:
            return
        try:
            job = continued(folder, state)
        except UserError as error:
            self.setup.say(str(error), Tone.ERROR)
            return
        self._begin(job, state.steps)
        self._bridge.run(job)

    def discard(self, folder: Path) -> None:
        """Move an unfinished run to the trash, when the user says yes."""
        if not questions.may_discard(self, folder.name):
            return
        try:
            discard(folder, self._places.trash_of(folder))
        except UserError as error:
            self.setup.say(str(error), Tone.ERROR)
        self._offer_unfinished()

    def cancel(self) -> None:
        """End the run; asks when it has gone on for a while."""
        spent = time.monotonic() - self._began
        if spent >= _MUCH_S and not questions.may_cancel(
            self, duration(spent), self.has_checkpoint
        ):
            return
        if self._writing.is_running:
            self._writing.abandon()
            self._on_cancelled()
        elif self._watcher.is_watching and self._job is not None:
            (self._job.folder / CANCEL_FILE).touch()
        else:
            self._bridge.cancel()

    def stop(self) -> None:
        """End without a word; the dock is going away."""
        self._planning.stop()
        self._writing.abandon()
        self._watcher.stop()
        self._bridge.close()
        self.setup.stop()
        if self._run_page is not None:
            self._run_page.stop()

    # -- runs that have not ended ----------------------------------------------------------------

    def _offer_unfinished(self) -> None:
        self.setup.unfinished.show_runs(unfinished_runs(self._places.to_offer()))

    def _attach(self, folder: Path, state: RunState) -> None:
        """Show a run that another process works on."""
        from napari_sartorius.engine.train_jobs import continued

        try:
            job = continued(folder, state)
        except UserError:
            return
        self._begin(job, state.steps, time.time() - state.started)
        self.run_page.say("It went on while napari was closed.")
        self._watcher.watch(folder)

    # -- while it runs ---------------------------------------------------------------------------

    def _begin(self, job: FineTuneJob, steps: int, spent: float = 0.0) -> None:
        self._planning.stop()  # its memory is needed now
        self._job, self._made, self._began = job, None, time.monotonic() - spent
        self.run_page.begin(job.folder, job.name, steps)
        self.pages.setCurrentWidget(self.run_page)

    def _on_progress(self, stage: str, fraction: float, seconds_left: object) -> None:
        if self._job is not None:
            state = read_state(self._job.folder)
            self.run_page.show_steps(state.steps if state is not None else 0)
        self.run_page.show_progress(stage, fraction, seconds_left)

    def _on_notice(self, text: str) -> None:
        if text.startswith("step "):
            self.run_page.look()
        elif text.startswith(_PAUSED) or text == _GOING_ON:
            self.run_page.show_rest(text != _GOING_ON)
        elif not any(words in text for words in _FOR_THE_LOG):
            self.run_page.say(sentence(text))

    def _on_finished(self, result: TrainedModel) -> None:
        self._made = result.name
        self.run_page.show_outcome(result)
        if result.name is not None:
            self.model_made.emit(result.name)

    def _on_failed(self, reason: str) -> None:
        self.run_page.show_end(reason, Tone.ERROR)
        show_error(reason)

    def _on_cancelled(self) -> None:
        later = "The run can be continued under “Train another”." if self.has_checkpoint else ""
        self.run_page.show_end(f"Cancelled; nothing was added. {later}".strip(), Tone.QUIET)

    def _on_use(self) -> None:
        if self._made is not None:
            self.use_asked.emit(self._made)

    def _show_setup(self) -> None:
        self.pages.setCurrentWidget(self.setup)
        self.refresh()
