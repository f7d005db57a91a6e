"""What all bridges between the engine's threads and Qt do with failures, and with their signals."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sartorius.engine.messages import JobMessage

logger = logging.getLogger(__name__)


def failure_in(message: JobMessage) -> str | None:
    """The sentence of a job that failed or whose worker crashed, logged; None for other news."""
    # imported here, in the engine's thread: the dock opens sooner without
    from napari_sartorius.engine import messages

    if isinstance(message, messages.FailedMessage):
        logger.error("%s\n%s", message.sentence, message.traceback_text)
        return message.sentence
    if isinstance(message, messages.CrashedMessage):
        logger.error("%s\n%s", message.sentence, message.log_tail)
        return message.sentence
    return None


def emit(signal: Any, *values: object) -> None:
    """Emit a signal of an object that Qt may have deleted meanwhile."""
    try:
        signal.emit(*values)
    except RuntimeError:  # the dock was destroyed between two messages
        logger.debug("the dock is gone; a message was dropped")
