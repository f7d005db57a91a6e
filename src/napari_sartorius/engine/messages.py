"""Typed messages between the viewer and its worker, so that neither side has to guess.

All of them are frozen dataclasses that carry the id of the job they belong to: a message of a job
that is over can be recognised and dropped. Nothing here imports torch or Qt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from napari_sartorius.engine.wire import Packed


@dataclass(frozen=True, slots=True)
class _OfJob:
    """What is said about one job, by its id."""

    job_id: int


@dataclass(frozen=True, slots=True)
class StartedMessage(_OfJob):
    """The worker has begun the job; until then it was waiting in the queue."""


@dataclass(frozen=True, slots=True)
class ProgressMessage(_OfJob):
    """How far the job is: a stage name, the fraction of the whole job (0..1), seconds left."""

    stage: str
    fraction: float
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class NoticeMessage(_OfJob):
    """Something that the user must be told although the job goes on (a cap was hit, ...)."""

    text: str


@dataclass(frozen=True, slots=True)
class FinishedMessage(_OfJob):
    """The job is done and `result` is whatever its `run` returned."""

    result: Any


@dataclass(frozen=True, slots=True)
class FailedMessage(_OfJob):
    """The job raised: one sentence for the user, the traceback for the log.

    `fatal` says that the worker is not fit for another job (a broken CUDA context for example);
    the client then replaces it, which the user does not notice.
    """

    sentence: str
    traceback_text: str = ""
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class CrashedMessage(_OfJob):
    """The worker process died: one sentence for the user, the last lines it wrote for the log."""

    sentence: str
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class CancelledMessage(_OfJob):
    """The job ended because the user asked for it; there is no result."""


JobMessage: TypeAlias = (
    StartedMessage
    | ProgressMessage
    | NoticeMessage
    | FinishedMessage
    | FailedMessage
    | CrashedMessage
    | CancelledMessage
)
"""Everything that a listener of a job can receive; one of the last four comes, once, at the end."""


@dataclass(frozen=True, slots=True)
class HelloMessage:
    """Worker to viewer, once: the worker is up."""

    pid: int


@dataclass(frozen=True, slots=True)
class ResultMessage(_OfJob):
    """Worker to viewer: the result of a job, packed so that a bad one cannot break the channel."""

    payload: Packed


@dataclass(frozen=True, slots=True)
class JobRequest(_OfJob):
    """Viewer to worker: run this job."""

    payload: Packed


@dataclass(frozen=True, slots=True)
class CancelRequest(_OfJob):
    """Viewer to worker: stop this job at its next check."""
