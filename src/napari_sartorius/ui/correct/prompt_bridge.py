"""Carries prompts to a worker and its answers into Qt's main thread, one after the other.

A prompt takes a blink, a run may take minutes, and the dock's worker does one job at a time. While
it is busy, prompts go to a second worker, started then and kept until the dock closes.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.engine_news import emit, failure_in

if TYPE_CHECKING:
    from napari_sartorius.engine.messages import JobMessage
    from napari_sartorius.ui.engine_client import EngineClient

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Question:
    """One prompt.

    Attributes
    ----------
    make_job
        Reads the pixels and returns the job; called in a thread of its own.
    about
        For whoever asks, to know what to do with the answer.
    """

    make_job: Callable[[], Any]
    about: Any


class PromptBridge(QObject):
    """Asks one question at a time; others wait in their order.

    Parameters
    ----------
    client : EngineClient
        The dock's own worker.
    make_client : callable
        Makes the second one.
    """

    answered = Signal(object, object)
    """What the question was about, and what the job returned."""
    failed = Signal(object, str)
    """What the question was about, and one sentence."""
    progressed = Signal(str)
    """What is being done, while it takes long."""

    def __init__(
        self,
        client: EngineClient,
        make_client: Callable[[], EngineClient],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._client = client
        self._make_client = make_client
        self._second: EngineClient | None = None
        self._lock = threading.RLock()
        self._waiting: deque[Question] = deque()
        self._ticket = 0
        self._asking = False
        self._handle: Any = None
        self._closed = False

    @property
    def is_asking(self) -> bool:
        """Whether an answer is waited for."""
        return self._asking

    def ask(self, question: Question) -> None:
        """Ask, or wait until the questions before were answered; returns at once."""
        with self._lock:
            self._waiting.append(question)
            if self._asking:
                return
        self._next()

    def cancel(self) -> None:
        """Forget all questions; nothing more is heard of them."""
        with self._lock:
            self._ticket += 1
            self._waiting.clear()
            self._asking = False
            handle, self._handle = self._handle, None
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        """End the second worker and say nothing any more; safe to call twice."""
        self._closed = True
        self.cancel()
        if self._second is not None:
            self._second.close()

    def _next(self) -> None:
        with self._lock:
            self._handle = None
            self._asking = bool(self._waiting) and not self._closed
            if not self._asking:
                return
            question = self._waiting.popleft()
            self._ticket += 1
            ticket = self._ticket
        threading.Thread(
            target=self._read_and_submit,
            args=(question, ticket),
            name="sartorius-prompt",
            daemon=True,
        ).start()

    # In other threads. --------------------------------------------------------------------------

    def _read_and_submit(self, question: Question, ticket: int) -> None:
        try:
            job = question.make_job()
            with self._lock:
                if ticket != self._ticket:
                    return
                self._handle = self._free_client().submit(
                    job, lambda message: self._listen(message, question, ticket)
                )
        except UserError as error:
            self._end(ticket, self.failed, question.about, str(error))
        except Exception as error:
            logger.exception("A prompt could not be made")
            sentence = f"The image could not be read for the model ({error})."
            self._end(ticket, self.failed, question.about, sentence)

    def _free_client(self) -> EngineClient:
        if not self._client.is_busy:
            return self._client
        if self._second is None:
            self._emit(self.progressed, "The worker is busy; starting a second one")
            self._second = self._make_client()
            client = self._second
            # holds the client only: this object is gone when `destroyed` comes
            self.destroyed.connect(lambda *_: client.close())
        return self._second

    def _listen(self, message: JobMessage, question: Question, ticket: int) -> None:
        from napari_sartorius.engine import messages

        if ticket != self._ticket:
            return
        if isinstance(message, messages.ProgressMessage):
            self._emit(self.progressed, message.stage)
        elif isinstance(message, messages.FinishedMessage):
            self._end(ticket, self.answered, question.about, message.result)
        elif (sentence := failure_in(message)) is not None:
            self._end(ticket, self.failed, question.about, sentence)
        elif isinstance(message, messages.CancelledMessage):
            self._end(ticket, self.failed, question.about, "Cancelled.")

    def _end(self, ticket: int, signal: Any, about: Any, value: Any) -> None:
        with self._lock:
            if ticket != self._ticket:
                return
        self._emit(signal, about, value)
        self._next()

    def _emit(self, signal: Any, *values: object) -> None:
        if not self._closed:
            emit(signal, *values)
