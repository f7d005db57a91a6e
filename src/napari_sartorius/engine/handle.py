"""The viewer's view of one job: where it stands, how it ended, and how to stop it."""

from __future__ import annotations

import enum
import itertools
import logging
import threading
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.engine.messages import (
    CancelledMessage,
    CrashedMessage,
    FailedMessage,
    FinishedMessage,
    JobMessage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.engine.context import Job

    Listener = Callable[[JobMessage], None]

_log = logging.getLogger(__name__)
_ids = itertools.count(1)


class JobState(enum.Enum):
    """The life of a job; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    CRASHED = "crashed"

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to the job any more."""
        return self in _FINAL


_FINAL = {JobState.FINISHED, JobState.CANCELLED, JobState.FAILED, JobState.CRASHED}
_STATE_OF_END = {
    FinishedMessage: JobState.FINISHED,
    CancelledMessage: JobState.CANCELLED,
    FailedMessage: JobState.FAILED,
    CrashedMessage: JobState.CRASHED,
}


class JobHandle:
    """One submitted job. Made by `WorkerClient.submit`; safe to use from every thread.

    Attributes
    ----------
    id : int
        Unique within this process and rising; messages carry it.
    job : Job
        What was submitted.
    """

    def __init__(
        self,
        job: Job,
        listener: Listener | None,
        request_cancel: Callable[[JobHandle], None],
    ) -> None:
        self.id = next(_ids)
        self.job = job
        self._listener = listener
        self._request_cancel = request_cancel
        self._lock = threading.Lock()
        self._state = JobState.QUEUED
        self._end: JobMessage | None = None
        self._over = threading.Event()

    @property
    def state(self) -> JobState:
        """Where the job stands now."""
        return self._state

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, in whichever way."""
        return self._over.is_set()

    @property
    def is_cancelling(self) -> bool:
        """Whether a cancel was asked for and the job has not ended yet."""
        return self._state is JobState.CANCELLING

    @property
    def result(self) -> Any:
        """What the job returned, or None unless it FINISHED."""
        return self._end.result if isinstance(self._end, FinishedMessage) else None

    @property
    def error(self) -> str | None:
        """One sentence for the user when the job FAILED or CRASHED."""
        if isinstance(self._end, FailedMessage | CrashedMessage):
            return self._end.sentence
        return None

    @property
    def details(self) -> str:
        """Traceback of a failed job or last output of a crashed worker; for the log."""
        if isinstance(self._end, FailedMessage):
            return self._end.traceback_text
        return self._end.log_tail if isinstance(self._end, CrashedMessage) else ""

    def cancel(self) -> None:
        """Ask the job to stop and return; after the client's grace time its worker is killed."""
        self._request_cancel(self)

    def wait(self, timeout: float | None = None) -> JobState:
        """Wait until the job is over, or for `timeout` seconds; return the state then.

        The end's message has been delivered to the listener by the time this returns.
        """
        self._over.wait(timeout)
        return self._state

    def outcome(self, timeout: float | None = None) -> Any:
        """Wait for the job and return its result.

        Raises
        ------
        UserError
            With the one sentence, when the job failed or its worker crashed.
        Cancelled
            When it was cancelled.
        TimeoutError
            When it is not over after `timeout` seconds.
        """
        if not self.wait(timeout).is_final:
            raise TimeoutError(f"job {self.id} is not over after {timeout} s")
        if self._state is JobState.CANCELLED:
            raise Cancelled
        if self.error is not None:
            raise UserError(self.error)
        return self.result

    # The client's side. ------------------------------------------------------------------------

    def begin(self) -> bool:
        """QUEUED -> RUNNING; False when the job was cancelled while it waited."""
        with self._lock:
            if self._state is not JobState.QUEUED:
                return False
            self._state = JobState.RUNNING
            return True

    def start_cancelling(self) -> JobState:
        """Note that a cancel was asked for and return the state before it.

        A queued job ends here; a running one becomes CANCELLING; else nothing happens.
        """
        with self._lock:
            before = self._state
            if before is JobState.RUNNING:
                self._state = JobState.CANCELLING
        if before is JobState.QUEUED:
            self.end(CancelledMessage(self.id))
        return before

    def deliver(self, message: JobMessage) -> None:
        """Hand a message to the listener, unless the job is over or being cancelled."""
        if self._state is JobState.RUNNING:
            self._call_listener(message)

    def end(self, message: JobMessage) -> None:
        """Bring the job to its final state, once; a result that comes after Cancel is dropped."""
        with self._lock:
            if self._state.is_final:
                return
            if self._state is JobState.CANCELLING:
                message = CancelledMessage(self.id)
            self._end = message
            self._state = _STATE_OF_END[type(message)]
        self._call_listener(message)
        self._over.set()

    def silence(self) -> None:
        """Call the listener no more (its owner is being closed)."""
        self._listener = None

    def _call_listener(self, message: JobMessage) -> None:
        listener = self._listener
        if listener is None:
            return
        try:
            listener(message)
        except Exception:
            _log.exception("A listener failed on %s", type(message).__name__)
