"""The viewer's end of the engine: submit jobs, hear of them, cancel them, without torch or Qt.

One `WorkerClient` serves one dock. It owns one worker process, started by the first job and kept
warm for the next, and one thread that feeds the worker and reads from it. Listeners are called from
that thread: a Qt user marshals to the main thread, for example by emitting a Qt signal.
"""

from __future__ import annotations

import atexit
import logging
import threading
import traceback
from collections import deque
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.handle import JobHandle, JobState
from napari_sartorius.engine.messages import (
    CancelledMessage,
    CancelRequest,
    CrashedMessage,
    FailedMessage,
    FinishedMessage,
    JobMessage,
    JobRequest,
    ResultMessage,
    StartedMessage,
)
from napari_sartorius.engine.process import WorkerProcess
from napari_sartorius.engine.wire import pack, unpack

if TYPE_CHECKING:
    from types import TracebackType

    from napari_sartorius.engine.context import Job
    from napari_sartorius.engine.handle import Listener

_log = logging.getLogger(__name__)


class WorkerClient:
    """Runs jobs one after the other in a worker process of its own.

    Parameters
    ----------
    grace
        Seconds between asking a job to stop and killing its worker.

    Examples
    --------
    >>> with WorkerClient() as client:  # doctest: +SKIP
    ...     handle = client.submit(SegmentJob(image, config), listener=print)
    ...     result = handle.outcome()
    """

    def __init__(self, *, grace: float = 2.0) -> None:
        self._grace = grace
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._queue: deque[JobHandle] = deque()
        self._current: JobHandle | None = None
        self._process: WorkerProcess | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, or None while there is none."""
        process = self._process
        return process.pid if process is not None and process.is_alive else None

    @property
    def is_busy(self) -> bool:
        """Whether a job is running or waiting."""
        with self._lock:
            return self._current is not None or bool(self._queue)

    def submit(self, job: Job, listener: Listener | None = None) -> JobHandle:
        """Queue a job and return at once.

        Parameters
        ----------
        job
            Picklable, of an importable class. Arrays in it are sent without a copy: leave them
            unchanged until the job has started.
        listener
            Called with each `JobMessage` of this job, from the client's thread (for a job that is
            cancelled while it waits: from the thread that cancels). The last message is exactly
            one of FinishedMessage, FailedMessage, CrashedMessage, CancelledMessage. After `close`
            it is not called any more.

        Raises
        ------
        UserError
            When the client is closed.
        """
        handle = JobHandle(job, listener, self.cancel)
        with self._wake:
            if self._closed:
                raise UserError("The engine of this dock is closed: open the dock again.")
            self._queue.append(handle)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="sartorius-engine", daemon=True
                )
                self._thread.start()
                atexit.register(self.close)
            self._wake.notify()
        return handle

    def cancel(self, handle: JobHandle | None = None) -> None:
        """Cancel a job (default: the running one) and return at once.

        The worker is asked first; when the job has not stopped after the grace time, the worker
        is killed. No result of a cancelled job is ever delivered.
        """
        handle = handle or self._current
        if handle is None or handle.start_cancelling() is not JobState.RUNNING:
            return
        threading.Thread(
            target=self._ask_then_kill, args=(handle,), name="sartorius-cancel", daemon=True
        ).start()

    def close(self) -> None:
        """End the worker and forget all jobs; they become CANCELLED without telling listeners."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
            handles = [*self._queue, *([self._current] if self._current else [])]
            self._queue.clear()
            self._wake.notify_all()
        for handle in handles:
            handle.silence()
            handle.start_cancelling()
        process, thread = self._process, self._thread
        if process is not None:
            # A job that outlives a viewer that crashed would not hear of one that closes.
            stays = any(getattr(handle.job, "outlives_viewer", False) for handle in handles)
            process.stop(0.0 if stays else self._grace)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5.0)
        atexit.unregister(self.close)

    # The thread that feeds the worker and reads from it. ----------------------------------------

    def _serve(self) -> None:
        while (handle := self._next_job()) is not None:
            try:
                self._run(handle)
            except Exception as error:  # a fault of ours must not leave the user waiting for ever
                _log.exception("The engine failed on job %d", handle.id)
                handle.end(_failure(handle, f"The engine failed ({error}): run again.", error))
                self._drop_process()
        self._drop_process()

    def _next_job(self) -> JobHandle | None:
        with self._wake:
            self._current = None
            while True:
                if self._closed:
                    return None
                while self._queue:
                    handle = self._queue.popleft()
                    if handle.begin():
                        self._current = handle
                        return handle
                self._wake.wait()

    def _run(self, handle: JobHandle) -> None:
        try:
            request = JobRequest(handle.id, pack(handle.job))
        except Exception as error:
            sentence = f"This job cannot be sent to the worker ({error})."
            handle.end(_failure(handle, sentence, error))
            return
        try:
            process = self._send(request, handle)
        except (UserError, OSError) as error:
            handle.end(CrashedMessage(handle.id, str(error)))
            return
        if process is None:
            handle.end(CancelledMessage(handle.id))
            return
        end = self._follow(handle, process)
        # What only the end of this job decided happens before anybody can submit the next one.
        if isinstance(end, CrashedMessage) or (isinstance(end, FailedMessage) and end.fatal):
            self._drop_process()
        handle.end(end)

    def _send(self, request: JobRequest, handle: JobHandle) -> WorkerProcess | None:
        """Give the request to a live worker; a worker that died while idle is replaced silently."""
        for attempt in (1, 2):
            if self._process is not None and not self._process.is_alive:
                self._drop_process()
            if self._process is None:
                process = WorkerProcess()
                with self._lock:
                    self._process = process
                    closed = self._closed
                if closed:
                    return None
            process = self._process
            if handle.is_cancelling:
                return None
            try:
                process.channel.send(request)
            except OSError:
                if handle.is_cancelling:
                    return None
                if attempt == 2:
                    process.stop(self._grace)
                    raise OSError(process.describe_death(handle.job)) from None
                process.stop(self._grace)
            else:
                return process
        return None

    def _follow(self, handle: JobHandle, process: WorkerProcess) -> JobMessage:
        """Deliver what the worker says about this job until it is over; return the end."""
        handle.deliver(StartedMessage(handle.id))
        while True:
            try:
                message = process.receive()
            except (EOFError, OSError):
                process.stop(self._grace)
                return CrashedMessage(
                    handle.id, process.describe_death(handle.job), process.log_tail
                )
            if message.job_id != handle.id:
                _log.debug("Dropped a late %s", type(message).__name__)
            elif isinstance(message, ResultMessage):
                return _unpacked(handle, message)
            elif isinstance(message, FailedMessage | CancelledMessage):
                return message
            else:
                handle.deliver(message)

    def _drop_process(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.stop(self._grace)
            process.release()

    def _ask_then_kill(self, handle: JobHandle) -> None:
        process = self._process
        if process is None:
            return  # the worker is not up yet; the serving thread sees the state before it sends
        asking = threading.Thread(target=_ask, args=(process, handle), daemon=True)
        asking.start()
        if handle.wait(self._grace).is_final:
            return
        with self._lock:  # under the lock no other job can become the current one meanwhile
            if self._current is handle:
                _log.warning("Job %d did not stop when asked; its worker is killed", handle.id)
                process.kill()


def _ask(process: WorkerProcess, handle: JobHandle) -> None:
    try:
        process.channel.send(CancelRequest(handle.id))
    except OSError:
        _log.debug("The worker of job %d is already gone", handle.id)


def _unpacked(handle: JobHandle, message: ResultMessage) -> JobMessage:
    try:
        return FinishedMessage(handle.id, unpack(message.payload))
    except Exception as error:
        return _failure(handle, f"The result of the worker could not be read ({error}).", error)


def _failure(handle: JobHandle, sentence: str, error: BaseException) -> FailedMessage:
    return FailedMessage(handle.id, sentence, "".join(traceback.format_exception(error)))
