"""Runs the jobs of the Models tab in a worker of their own and reports in Qt's main thread.

Not in the worker that segments: a download may take an hour, and nobody should wait for it to
segment an image, nor lose a loaded network by cancelling it. The worker ends with its job.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.engine_news import emit, failure_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.engine.messages import JobMessage
    from napari_sartorius.ui.engine_client import EngineClient


class JobBridge(QObject):
    """Runs one job at a time.

    Parameters
    ----------
    make_client : callable
        Makes who runs a job; closed when the job is over.
    """

    progressed = Signal(str, float, object)
    """Stage, fraction 0..1, seconds left or None."""
    noticed = Signal(str)
    """Something that the user must be told although the job goes on."""
    finished = Signal(object)
    """What the job returned."""
    failed = Signal(str)
    """One sentence."""
    cancelled = Signal()
    """The job ended because the user asked for it."""

    def __init__(
        self, make_client: Callable[[], EngineClient], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._make_client = make_client
        self._client: EngineClient | None = None
        self._handle: Any = None
        self._ticket = 0
        self._lock = threading.Lock()

    @property
    def is_running(self) -> bool:
        """Whether a job was started and has not ended."""
        return self._client is not None

    def run(self, job: Any) -> None:
        """Start a job; returns at once, and must not be called while one runs."""
        if self.is_running:
            raise RuntimeError("a job is running already")
        self._ticket += 1
        ticket = self._ticket
        client = self._client = self._make_client()
        # holds the client only: this object is gone when `destroyed` comes
        self.destroyed.connect(lambda *_: client.close())
        try:
            self._handle = client.submit(job, lambda message: self._listen(message, ticket))
        except UserError as error:
            self._end(ticket, self.failed, str(error))

    def cancel(self) -> None:
        """Stop the job; `cancelled` follows when it has stopped, within seconds."""
        if self._handle is not None:
            self._handle.cancel()

    def close(self) -> None:
        """End the job and say nothing any more; safe to call twice."""
        with self._lock:
            self._ticket += 1
            client, self._client, self._handle = self._client, None, None
        if client is not None:
            client.close()

    # In the engine's thread. --------------------------------------------------------------------

    def _listen(self, message: JobMessage, ticket: int) -> None:
        from napari_sartorius.engine import messages

        if ticket != self._ticket:
            return
        if isinstance(message, messages.ProgressMessage):
            emit(self.progressed, message.stage, message.fraction, message.seconds_left)
        elif isinstance(message, messages.NoticeMessage):
            emit(self.noticed, message.text)
        elif isinstance(message, messages.FinishedMessage):
            self._end(ticket, self.finished, message.result)
        elif (sentence := failure_in(message)) is not None:
            self._end(ticket, self.failed, sentence)
        elif isinstance(message, messages.CancelledMessage):
            self._end(ticket, self.cancelled)

    def _end(self, ticket: int, signal: Any, *values: object) -> None:
        with self._lock:
            if ticket != self._ticket:
                return
            self._ticket += 1
            client, self._client, self._handle = self._client, None, None
        if client is not None:  # a thread of its own: the client cannot end in its own thread
            threading.Thread(target=client.close, name="sartorius-close", daemon=True).start()
        emit(signal, *values)
