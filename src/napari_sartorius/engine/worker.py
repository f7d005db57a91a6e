"""The program of the worker process: take a job, run it, say how it went, stay warm for the next.

Started by `napari_sartorius.engine.process`. Nothing heavy is imported here; jobs import what they
need.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any, Final

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor, TimeLeft
from napari_sartorius.engine.context import WarmCache, WorkerContext
from napari_sartorius.engine.messages import (
    CancelledMessage,
    CancelRequest,
    FailedMessage,
    HelloMessage,
    JobRequest,
    NoticeMessage,
    ProgressMessage,
    ResultMessage,
)
from napari_sartorius.engine.wire import Channel, pack, unpack

_log = logging.getLogger(__name__)
_REPORT_EVERY: Final = 0.05  # seconds; a faster stream of progress only burdens the viewer
_BROKEN_DEVICE: Final = (
    "CUDA error",
    "cuDNN error",
    "device-side assert",
    "CUBLAS_STATUS",
    "HIP error",
)


class ForwardingMonitor(Monitor):
    """Sends what a job reports over the channel and raises `Cancelled` when a cancel came in."""

    def __init__(self, channel: Channel, job_id: int, inbox: Inbox) -> None:
        self._channel = channel
        self._job_id = job_id
        self._inbox = inbox
        self._time_left = TimeLeft()
        self._stage = ""
        self._sent_at = float("-inf")

    def progress(self, stage: str, fraction: float) -> None:
        """Forward, at most twenty times a second unless the stage changes or ends."""
        self.check()
        now = time.monotonic()
        seconds = self._time_left.update(fraction, now)
        due = now - self._sent_at >= _REPORT_EVERY
        if due or stage != self._stage or fraction >= 1.0:
            self._stage, self._sent_at = stage, now
            self._tell(ProgressMessage(self._job_id, stage, fraction, seconds))

    def notice(self, message: str) -> None:
        """Forward a notice at once."""
        _log.info("Notice: %s", message)
        self._tell(NoticeMessage(self._job_id, message))

    def check(self) -> None:
        """Raise `Cancelled` when the viewer asked for it."""
        if self._inbox.is_cancelled(self._job_id):
            raise Cancelled

    def _tell(self, message: ProgressMessage | NoticeMessage) -> None:
        try:
            self._channel.send(message)
        except OSError:  # the viewer is gone
            if not self._inbox.outlives_viewer:
                raise


class Inbox:
    """Reads the channel in a thread of its own, so that a cancel is heard while a job runs.

    When the viewer is gone the process ends at once, since nobody is left to take a result; unless
    the job leaves what it makes on the disk and `outlives_viewer`: then it ends with the job.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._requests: queue.SimpleQueue[JobRequest] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self.outlives_viewer = False

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._listen, name="sartorius-inbox", daemon=True).start()

    def next_request(self) -> JobRequest:
        """Wait for the next job."""
        return self._requests.get()

    def is_cancelled(self, job_id: int) -> bool:
        """Whether the viewer asked to stop this job."""
        return job_id in self._cancelled

    def _listen(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except (EOFError, OSError):
                if not self.outlives_viewer:
                    os._exit(0)
                _print_nowhere()
                return
            except BaseException:
                traceback.print_exc()
                os._exit(3)
            if isinstance(message, CancelRequest):
                self._cancelled.add(message.job_id)
            elif isinstance(message, JobRequest):
                self._requests.put(message)
            del message  # an image must not live on until the next message


def serve(channel: Channel) -> None:
    """Run jobs from the channel until the viewer closes it."""
    inbox = Inbox(channel)
    inbox.start()
    cache = WarmCache()
    channel.send(HelloMessage(os.getpid()))
    while True:
        _run(inbox.next_request(), channel, inbox, cache)


def _run(request: JobRequest, channel: Channel, inbox: Inbox, cache: WarmCache) -> None:
    monitor = ForwardingMonitor(channel, request.job_id, inbox)
    end: ResultMessage | CancelledMessage | FailedMessage
    job: Any = None
    try:
        job = unpack(request.payload)
        if getattr(job, "outlives_viewer", False):
            inbox.outlives_viewer = True
            _yield_to_others()
        monitor.check()
        end = ResultMessage(request.job_id, pack(job.run(WorkerContext(monitor, cache))))
    except Cancelled:
        end = CancelledMessage(request.job_id)
    except BrokenPipeError:
        raise
    except BaseException as error:
        end = describe_failure(request.job_id, error, job)
        _log.error("Job %d failed\n%s", request.job_id, end.traceback_text)
        if not isinstance(error, UserError):
            cache.clear()
    channel.send(end)


def _print_nowhere() -> None:
    """Let what is printed go nowhere: a print into the pipe of a dead viewer would be an error."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def _yield_to_others() -> None:
    """Go behind the worker that somebody waits for, for as long as this process lives."""
    if sys.platform != "win32":  # there all workers yield to the viewer, and to each other alike
        os.nice(3)


def describe_failure(job_id: int, error: BaseException, job: object = None) -> FailedMessage:
    """Turn whatever a job raised into one sentence, its traceback, and whether to start afresh."""
    report = "".join(traceback.format_exception(error))
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return FailedMessage(job_id, text, report)
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        remedy = getattr(job, "after_memory", "choose a smaller tile or close other programs")
        sentence = f"The memory was not enough: {remedy}."
    elif isinstance(error, ModuleNotFoundError):
        sentence = (
            f"The Python package {error.name} is missing here: install napari-sartorius again with "
            "all that it requires."
        )
    else:
        short = text if len(text) <= 200 else text[:200] + "…"
        sentence = (
            f"The job stopped because of an unexpected {type(error).__name__}"
            f"{f' ({short})' if short else ''}: see the log for the full report."
        )
    fatal = any(mark in text for mark in _BROKEN_DEVICE)
    return FailedMessage(job_id, sentence, report, fatal)


def _take_over_pipes() -> Channel:
    """Keep the two pipes for messages; stray prints go to the log and reads find nothing."""
    reader, writer = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (reader, writer):
            msvcrt.setmode(descriptor, os.O_BINARY)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Channel(os.fdopen(reader, "rb", buffering=0), os.fdopen(writer, "wb", buffering=0))


def main() -> None:
    """Entry point of the process."""
    channel = _take_over_pipes()
    faulthandler.enable(all_threads=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is for the viewer
    if sys.platform != "win32":
        os.nice(5)  # the viewer draws first
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    with contextlib.suppress(BrokenPipeError):
        serve(channel)
    os._exit(0)
