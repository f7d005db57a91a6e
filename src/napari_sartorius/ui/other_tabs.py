"""The dock's tabs beside Segment: imported and built when they are first shown, and connected."""

from __future__ import annotations

import contextlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import sentence
from napari_sartorius.ui.late_tab import LateTab

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from qtpy.QtWidgets import QTabWidget

    from napari_sartorius.postprocess.usual import Usual
    from napari_sartorius.ui.correct.correct_tab import CorrectTab
    from napari_sartorius.ui.correct.prompt_bridge import PromptBridge
    from napari_sartorius.ui.correct.review_section import Onward
    from napari_sartorius.ui.engine_client import EngineClient
    from napari_sartorius.ui.evaluate.evaluate_tab import EvaluateTab
    from napari_sartorius.ui.job_bridge import JobBridge
    from napari_sartorius.ui.models_tab import ModelsTab
    from napari_sartorius.ui.project.project_tab import ProjectTab
    from napari_sartorius.ui.segment_tab import SegmentTab
    from napari_sartorius.ui.train.train_tab import TrainTab


class OtherTabs(QObject):
    """Correct, Evaluate, Train, Project and Models.

    Parameters
    ----------
    viewer : ViewerModel
        Where images are shown.
    segment : SegmentTab
        Gives the settings to segment with, and takes up new models.
    client : EngineClient
        Segments in the background, too.
    make_client : callable
        Makes who runs a download or a training: a worker of its own each time.
    """

    use_asked = Signal(str)
    """The user wants to segment with the model of this name."""

    def __init__(
        self,
        viewer: ViewerModel,
        segment: SegmentTab,
        client: EngineClient,
        make_client: Callable[[], EngineClient],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._segment = segment
        self._client = client
        self._make_client = make_client
        self._prompts: PromptBridge | None = None
        self._correct = LateTab(self._make_correct)
        self._evaluate = LateTab(self._make_evaluate)
        self._train = LateTab(self._make_train, lambda tab: tab.refresh())
        self._project = LateTab(self._make_project)
        self._models = LateTab(self._make_models)

    def add_to(self, tabs: QTabWidget) -> None:
        """Put them behind the tabs that are there."""
        for tab, title in (
            (self._correct, "Correct"),
            (self._evaluate, "Evaluate"),
            (self._train, "Train"),
            (self._project, "Project"),
            (self._models, "Models"),
        ):
            tabs.addTab(tab, title)

    @property
    def correct(self) -> CorrectTab:
        """The Correct tab, built by being asked for."""
        return self._correct.content

    @property
    def evaluate(self) -> EvaluateTab:
        """The Evaluate tab, built by being asked for."""
        return self._evaluate.content

    @property
    def train(self) -> TrainTab:
        """The Train tab, built by being asked for."""
        return self._train.content

    @property
    def project(self) -> ProjectTab:
        """The Project tab, built by being asked for."""
        return self._project.content

    @property
    def models(self) -> ModelsTab:
        """The Models tab, built by being asked for."""
        return self._models.content

    @property
    def is_training(self) -> bool:
        """Whether a training goes on that closing the dock would end."""
        return self._train.is_made and self.train.ends_with_us

    def stop(self) -> None:
        """End what they do, save what they hold."""
        late = (self._correct, self._evaluate, self._train, self._project, self._models)
        for tab in late:
            if tab.is_made:
                tab.content.stop()
        if self._prompts is not None:
            self._prompts.close()

    def _make_correct(self) -> CorrectTab:
        from napari_sartorius.ui.correct.correct_tab import CorrectTab
        from napari_sartorius.ui.correct.model_drawing import ModelChoice
        from napari_sartorius.ui.correct.prompt_bridge import PromptBridge
        from napari_sartorius.ui.settings import read_keys

        self._prompts = PromptBridge(self._client, self._make_client, self)
        segment = self._segment
        choice = ModelChoice(self._prompts, segment.config, lambda: segment.image.layer)
        tab = CorrectTab(self._viewer, read_keys(), choice)
        tab.review.onward = self._next_review
        tab.review.progressed.connect(self._tell_doubt)
        tab.usual_elsewhere = self._usual_in_project
        tab.place_judged.connect(self._record_place)
        return tab

    def _reviewed_project(self) -> ProjectTab | None:
        """The Project tab, when the Correct tab works on the image that it shows."""
        if not (self._project.is_made and self._correct.is_made):
            return None
        session = self.correct.session
        shown = self.project.session.labels
        return self.project if session is not None and session.layer is shown else None

    def _tell_saved(self) -> None:
        """Say in the Correct tab, too, when the project was saved and what was done since."""
        if self._correct.is_made:
            tab = self._reviewed_project()
            project = tab.session.project if tab is not None else None
            text = project.saved_text() if project is not None else ""
            self.correct.show_saved(sentence(text) if text else "")

    def _tell_doubt(self) -> None:
        """Let the list of images know how many doubtful cells the shown one has left."""
        self._tell_saved()
        project, queue = self._reviewed_project(), self.correct.review.queue
        if project is not None and queue is not None and project.session.current is not None:
            project.doubt.tell(project.session.current, len(queue.waiting))

    def _usual_in_project(self) -> Usual | None:
        project = self._reviewed_project()
        return project.doubt.usual if project is not None else None

    def _on_compared(self) -> None:
        """Judge the shown image again, if it has few cells, by what is usual in the project.

        Once only: a later change of what is usual must not move the queue under the user's hands.
        """
        queue = self.correct.review.queue if self._reviewed_project() is not None else None
        if queue is not None and queue.needs_elsewhere:
            queue.refresh()

    def _record_place(self) -> None:
        project = self._reviewed_project()
        if project is not None and project.session.recorder is not None:
            project.session.recorder.flush()

    def _next_review(self) -> Onward | None:
        """Where the review goes on in a project when an image is through."""
        from napari_sartorius.ui.correct.review_section import Onward

        project = self._reviewed_project()
        name = project.next_doubtful() if project is not None else None
        if project is None or name is None:
            return None

        def go() -> None:
            project.show_image(name)
            if project.session.labels is not None:
                self.correct.layers.choose(project.session.labels)
                self.correct.review.next()

        return Onward(f"{PurePosixPath(name).name} ({project.doubt.of(name):,} doubtful)", go)

    def _make_evaluate(self) -> EvaluateTab:
        from napari_sartorius.ui.evaluate.evaluate_tab import EvaluateTab

        return EvaluateTab(self._viewer)

    def _make_project(self) -> ProjectTab:
        from napari_sartorius.ui.project.project_tab import ProjectTab

        tab = ProjectTab(self._viewer, self._client, self._segment.config)
        tab.doubt.compared.connect(self._on_compared)
        tab.look.looked.connect(self._on_looked)
        tab.session.progressed.connect(self._tell_saved)
        tab.session.shown.connect(self._tell_saved)
        return tab

    def _make_train(self) -> TrainTab:
        from napari_sartorius.ui.train.train_tab import TrainTab

        tab = TrainTab(
            self._viewer,
            self._bridge(),
            self._make_client,
            self._open_project,
            self._save_project,
            _cards,
        )
        tab.model_made.connect(lambda _: self._offer_models())
        tab.use_asked.connect(self._use_trained)
        return tab

    def _make_models(self) -> ModelsTab:
        from napari_sartorius.ui.models_tab import ModelsTab

        tab = ModelsTab(self._bridge())
        tab.models_changed.connect(self._offer_models)
        tab.use_asked.connect(self._use)
        return tab

    def _bridge(self) -> JobBridge:
        from napari_sartorius.ui.job_bridge import JobBridge

        return JobBridge(self._make_client, self)

    def _open_project(self) -> Any:
        return self.project.session.project if self._project.is_made else None

    def _save_project(self) -> bool:
        return self.project.session.save() if self._project.is_made else True

    def _offer_models(self, choose: str = "") -> None:
        """Let the Segment tab offer the models that are on this computer now."""
        self._segment.offer_models(_cards(), choose)

    def _use_trained(self, name: str) -> None:
        """Use a new model, and let it look at the project's images: the review goes on by that."""
        self._use(name)
        if self._open_project() is None:
            return
        with contextlib.suppress(UserError):  # the Segment tab says why it cannot be used
            self.project.look.begin(self._segment.config())

    def _on_looked(self, name: str) -> None:
        project = self._reviewed_project()
        queue = self.correct.review.queue if project is not None else None
        if project is not None and queue is not None and name == project.session.current:
            queue.ask_about(project.look.places(name))

    def _use(self, name: str) -> None:
        self._offer_models(name)
        self.use_asked.emit(name)


def _cards() -> list[Any]:
    from napari_sartorius.zoo import list_bundles

    return [bundle.card for bundle in list_bundles()]
