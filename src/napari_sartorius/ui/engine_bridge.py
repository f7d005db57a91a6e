"""Carries what the engine says from its thread into Qt's main thread, as signals.

The engine calls listeners from a thread of its own. Here its messages become Qt signals, which Qt
delivers in the main thread; the label image is composed on the way, still outside the main thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.engine_news import emit, failure_in

if TYPE_CHECKING:
    from napari_sartorius.engine.messages import FinishedMessage, JobMessage
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.ui.engine_client import EngineClient
    from napari_sartorius.ui.segment_request import SegmentRequest

logger = logging.getLogger(__name__)

_SENDING = 0.01  # seconds, less than a frame of the window


class EngineBridge(QObject):
    """Runs one segmentation at a time and reports on it in the main thread.

    Parameters
    ----------
    client : EngineClient
        Who runs the jobs; closed by `close`.
    """

    progressed = Signal(str, float, object)
    """Stage, fraction 0..1 of the whole job, seconds left or None."""
    noticed = Signal(str)
    """Something that the user must be told although the job goes on."""
    finished = Signal(object, object)
    """The `SegmentRequest` and its `ComposedLabels`."""
    failed = Signal(str)
    """One sentence; there is no result."""
    cancelled = Signal()
    """The job ended because the user asked for it."""
    device_described = Signal(str, bool)
    """One sentence on what a run would use and why; whether something better failed."""

    def __init__(self, client: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._lock = threading.RLock()
        self._sent = threading.Event()
        self._ticket = 0
        self._handle: Any = None
        self._running = False
        self._closed = False

    @property
    def is_running(self) -> bool:
        """Whether a segmentation was started and has not ended."""
        return self._running

    def run(self, request: SegmentRequest) -> None:
        """Start a segmentation; returns soon, and must not be called while one runs."""
        if self._running:
            raise RuntimeError("a segmentation is running already")
        self._running = True
        with self._lock:
            self._ticket += 1
            ticket = self._ticket
            self._handle = None
        self._sent.clear()
        threading.Thread(
            target=self._read_and_submit,
            args=(request, ticket),
            name="sartorius-read-image",
            daemon=True,
        ).start()
        # Next the window is drawn, and no other thread runs meanwhile: an image that is in memory
        # is on its way before that.
        self._sent.wait(_SENDING)

    def cancel(self) -> None:
        """Stop the running segmentation; `cancelled` follows, and never `finished`."""
        if not self._running:
            return
        with self._lock:
            handle = self._handle
            self._ticket += 1  # whatever the job still says is about a run nobody waits for
        if handle is not None:
            handle.cancel()
        self._end(self.cancelled)

    def describe_device(self, request: str) -> None:
        """Ask the worker which device `request` leads to; `device_described` follows."""
        from napari_sartorius.engine.jobs import DescribeDeviceJob
        from napari_sartorius.engine.messages import (
            CrashedMessage,
            FailedMessage,
            FinishedMessage,
        )

        def listen(message: JobMessage) -> None:
            if isinstance(message, FinishedMessage):
                self._emit(self.device_described, message.result.reason, message.result.fallback)
            elif isinstance(message, FailedMessage | CrashedMessage):
                self._emit(self.device_described, message.sentence, True)

        try:
            self._client.submit(DescribeDeviceJob(request), listen)
        except UserError as error:
            self.device_described.emit(str(error), True)

    def warm_up(self, config: SegmentConfig) -> None:
        """Let the worker load the model; a failure is told by the run that needs the model."""
        from napari_sartorius.engine.jobs import WarmUpJob

        with contextlib.suppress(UserError):
            self._client.submit(WarmUpJob(config))

    def close(self) -> None:
        """End the worker and say nothing any more; safe to call twice."""
        self._closed = True
        self._running = False
        with self._lock:
            self._ticket += 1
        self._client.close()

    # In other threads. --------------------------------------------------------------------------

    def _read_and_submit(self, request: SegmentRequest, ticket: int) -> None:
        try:
            job = request.make_job()
            with self._lock:
                if ticket != self._ticket:
                    return
                self._handle = self._client.submit(
                    job, lambda message: self._listen(message, request, ticket)
                )
        except UserError as error:
            self._end_ticket(ticket, self.failed, str(error))

    def _listen(self, message: JobMessage, request: SegmentRequest, ticket: int) -> None:
        # imported here, in the engine's thread: the dock opens sooner without
        from napari_sartorius.engine import messages

        self._sent.set()
        if ticket != self._ticket:
            return
        if isinstance(message, messages.ProgressMessage):
            self._emit(self.progressed, message.stage, message.fraction, message.seconds_left)
        elif isinstance(message, messages.NoticeMessage):
            self._emit(self.noticed, message.text)
        elif isinstance(message, messages.FinishedMessage):
            self._compose(message, request, ticket)
        elif (sentence := failure_in(message)) is not None:
            self._end_ticket(ticket, self.failed, sentence)
        elif isinstance(message, messages.CancelledMessage):
            self._end_ticket(ticket, self.cancelled)

    def _compose(self, message: FinishedMessage, request: SegmentRequest, ticket: int) -> None:
        self._emit(self.progressed, "Drawing the labels", 1.0, None)
        try:
            composed = request.compose(message.result)
        except Exception as error:
            logger.exception("The result could not be turned into a layer")
            sentence = f"The result could not be turned into a label layer ({error}): run again."
            self._end_ticket(ticket, self.failed, sentence)
        else:
            self._end_ticket(ticket, self.finished, request, composed)

    def _end_ticket(self, ticket: int, signal: Any, *values: object) -> None:
        with self._lock:
            if ticket != self._ticket:
                return
            self._ticket += 1
        self._end(signal, *values)

    def _end(self, signal: Any, *values: object) -> None:
        self._running = False
        self._handle = None
        self._emit(signal, *values)

    def _emit(self, signal: Any, *values: object) -> None:
        if not self._closed:
            emit(signal, *values)
