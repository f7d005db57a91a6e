"""Work that takes longer than a drawing of the canvas, in a thread; answers come in Qt's own."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class InBackground(QObject):
    """Runs one function at a time; a later one takes the place of an earlier one.

    What the earlier one was about to answer is never delivered.
    """

    finished = Signal(object)
    """What the function returned."""
    failed = Signal(str)
    """The sentence of its `UserError`."""
    progressed = Signal(str)
    """How far it is, in words."""
    _heard = Signal(int, str, object)  # from the function's thread into this one

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ticket = 0
        self._running = False
        self._heard.connect(self._on_heard)

    @property
    def is_running(self) -> bool:
        """Whether an answer is waited for."""
        return self._running

    def run(self, work: Callable[[Callable[[str], None]], Any]) -> None:
        """Start `work`, which gets a function that tells its progress.

        That function raises `Abandoned` when nobody waits for the answer any more.
        """
        self._ticket += 1
        self._running = True
        threading.Thread(
            target=self._work, args=(work, self._ticket), name="sartorius-compare", daemon=True
        ).start()

    def abandon(self) -> None:
        """Wait for nothing any more."""
        self._ticket += 1
        self._running = False

    def _work(self, work: Callable[[Callable[[str], None]], Any], ticket: int) -> None:
        def tell(text: str) -> None:
            if ticket != self._ticket:
                raise Abandoned
            self._say(ticket, "progressed", text)

        try:
            self._say(ticket, "finished", work(tell))
        except Abandoned:
            pass
        except UserError as error:
            self._say(ticket, "failed", str(error))
        except MemoryError:
            self._say(ticket, "failed", "There is not enough memory for this comparison.")
        except Exception as error:
            logger.exception("a comparison failed")
            self._say(ticket, "failed", f"The comparison failed ({error}); the log tells more.")

    def _say(self, ticket: int, what: str, value: Any) -> None:
        with suppress(RuntimeError):  # the window was closed meanwhile
            self._heard.emit(ticket, what, value)

    def _on_heard(self, ticket: int, what: str, value: Any) -> None:
        if ticket != self._ticket:
            return
        if what != "progressed":
            self._running = False
        getattr(self, what).emit(value)


class Abandoned(Exception):
    """Nobody waits for the answer."""
