"""What the tests of the Train tab share: a scripted worker, and answers that it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.engine.messages import FinishedMessage
from napari_sartorius.engine.plan_jobs import PlannedTraining
from napari_sartorius.training.plan import CategoryCount, TrainingPlan

if TYPE_CHECKING:
    from collections.abc import Callable

CURVE = "step,seconds_per_step,loss_class,loss_mask,score\n0,,,,0.2\n50,0.5,0.7,0.6,0.31\n"
ROWS = (CategoryCount("round", 3, 41, 1, 12), CategoryCount("long", 2, 1234, 1, 7))


def plan(**changes: Any) -> TrainingPlan:
    """A plan of two categories that nothing speaks against."""
    facts: dict[str, Any] = {
        "rows": ROWS,
        "train_images": 4,
        "validation_images": 1,
        "strips": False,
        "steps": 300,
        "batch_size": 4,
        "work": 0.0,
    }
    return TrainingPlan(**(facts | changes))


class Scripted:
    """Waits for jobs of a kind and answers them.

    Parameters
    ----------
    client
        The fake client that takes all jobs of the tab.
    """

    def __init__(self, client: Any, wait: Callable[[Callable[[], bool]], None]) -> None:
        self.client, self._wait = client, wait
        self._answered = 0

    def next(self, kind: str) -> Any:
        """The next job, which must be of this class; remembers it for `say`."""
        self._wait(lambda: len(self.client.jobs) > self._answered)
        job = self.client.jobs[self._answered]
        self._answered += 1
        assert type(job).__name__ == kind
        return job

    def say(self, message: Any) -> None:
        """Tell the listener of the job that was asked for last."""
        self.client.say(message, self._answered - 1)

    def answer(self, kind: str, result: Any) -> Any:
        """Let the next job, which must be of this class, return something; returns the job."""
        job = self.next(kind)
        self.say(FinishedMessage(1, result))
        return job

    def plan(self, seconds: float | None = 0.5, **changes: Any) -> Any:
        """Answer the questions before a run; returns the job that would be run."""
        job = self.answer("PlanJob", PlannedTraining(plan(**changes), "cpu", seconds))
        if changes.get("problem") is None:
            self.answer("PreviewJob", [])
            if seconds is None:
                self.answer("TimeStepJob", 1.5)
        return job.training
