"""Asks a worker what would be done, before anything is done: plan, preview, time of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sartorius.ui.correct.prompt_bridge import PromptBridge, Question
from napari_sartorius.ui.single_shot import single_shot

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.engine.train_jobs import FineTuneJob
    from napari_sartorius.ui.engine_client import EngineClient

_SETTLED_MS = 350
"""Whoever types a name or tries menus is not asked after at each key."""

_IDLE_MS = 180_000
"""After so long without a question the worker gives its memory back."""

PICTURES = 6


class Looking(QObject):
    """One answer after the other about the training that is chosen now.

    The worker is one of its own: it starts when there is something to plan, and ends when the
    training begins, which has a worker of its own.

    Parameters
    ----------
    make_client : callable
        Makes that worker.
    """

    planned = Signal(object)
    """A `PlannedTraining`."""
    timed = Signal(float)
    """Seconds per step on this computer."""
    pictured = Signal(object)
    """Pictures of training crops, (S, S, 3) uint8 each."""
    failed = Signal(str, str)
    """What was asked for, and a sentence on why there is no answer."""

    def __init__(
        self, make_client: Callable[[], EngineClient], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._make_client = make_client
        self._client: EngineClient | None = None
        self._bridge: PromptBridge | None = None
        self._make_job: Callable[[], FineTuneJob] | None = None
        self._seed = 0
        self._waiting = single_shot(self, _SETTLED_MS, self._begin)
        self._idle = single_shot(self, _IDLE_MS, self._on_idle)

    @property
    def is_asking(self) -> bool:
        """Whether an answer is waited for."""
        return self._waiting.isActive() or (self._bridge is not None and self._bridge.is_asking)

    def ask(self, make_job: Callable[[], FineTuneJob]) -> None:
        """Ask for everything about a training, soon; forgets what was asked before.

        Parameters
        ----------
        make_job : callable
            Makes the job that would be run; called in another thread, may raise `UserError`.
        """
        self.forget()
        self._make_job = make_job
        self._waiting.start()

    def other_pictures(self) -> None:
        """Ask for other crops of the same training."""
        self._seed += 1
        self._ask("preview")

    def forget(self) -> None:
        """Wait for nothing any more."""
        self._waiting.stop()
        if self._bridge is not None:
            self._bridge.cancel()

    def close(self) -> None:
        """End the worker; the next question starts another one."""
        self.forget()
        self._idle.stop()
        bridge, client, self._bridge, self._client = self._bridge, self._client, None, None
        if bridge is not None:
            bridge.close()
        if client is not None:
            client.close()

    def _begin(self) -> None:
        self._ask("plan")

    def _on_idle(self) -> None:
        if self.is_asking:
            self._idle.start()
        else:
            self.close()

    def _ask(self, what: str) -> None:
        make_job = self._make_job
        if make_job is None:
            return
        if self._bridge is None:
            client = self._client = self._make_client()
            self._bridge = PromptBridge(client, lambda: client, self)
            self._bridge.answered.connect(self._on_answer)
            self._bridge.failed.connect(lambda about, text: self.failed.emit(about, text))
            # holds the client only: this object is gone when `destroyed` comes
            self.destroyed.connect(lambda *_: client.close())
        seed = self._seed

        def make() -> Any:
            from napari_sartorius.engine.plan_jobs import PlanJob, PreviewJob, TimeStepJob

            job = make_job()
            if what == "plan":
                return PlanJob(job)
            return PreviewJob(job, PICTURES, seed) if what == "preview" else TimeStepJob(job)

        self._bridge.ask(Question(make, what))
        self._idle.start()

    def _on_answer(self, what: str, answer: Any) -> None:
        if what == "plan":
            self.planned.emit(answer)
            if answer.plan.problem is None:
                self._ask("preview")
                if answer.seconds_per_step is None:
                    self._ask("time")
        elif what == "preview":
            self.pictured.emit(answer)
        else:
            self.timed.emit(answer)
