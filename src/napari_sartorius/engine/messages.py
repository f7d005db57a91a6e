"""Typed messages between the viewer and its worker, so that neither side has to guess.

All of them are frozen dataclasses that carry the id of the job they belong to: a message of a job
that is over can be recognised and dropped. Nothing here imports torch or Qt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from napari_sartorius.engine.wire import Packed


@dataclass(frozen=True, slots=True)
class StartedMessage:
    """The worker has begun the job; until then it was waiting in the queue."""

    job_id: int


@dataclass(frozen=True, slots=True)
class ProgressMessage:
    """How far the job is: a stage name, the fraction of the whole job (0..1), seconds left."""

    job_id: int
    stage: str
    fraction: float
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class NoticeMessage:
    """Something that the user must be told although the job goes on (a cap was hit, ...)."""

    job_id: int
    text: str


@dataclass(frozen=True, slots=True)
class FinishedMessage:
    """The job is done and `result` is whatever its `run` returned."""

    job_id: int
    result: Any


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """The job raised: one sentence for the user, the traceback for the log.

    `fatal` says that the worker is not fit for another job (a broken CUDA context for example);
    the client then replaces it, which the user does not notice.
    """

    job_id: int
    sentence: str
    traceback_text: str = ""
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class CrashedMessage:
    """The worker process died: one sentence for the user, the last lines it wrote for the log."""

    job_id: int
    sentence: str
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class CancelledMessage:
    """The job ended because the user asked for it; there is no result."""

    job_id: int


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
class ResultMessage:
    """Worker to viewer: the result of a job, packed so that a bad one cannot break the channel."""

    job_id: int
    payload: Packed


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Viewer to worker: run this job."""

    job_id: int
    payload: Packed


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Viewer to worker: stop this job at its next check."""

    job_id: int
