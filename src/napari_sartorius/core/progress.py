"""How long work reports its progress and learns that it should stop, whoever is watching."""

from __future__ import annotations

import math
from typing import final


class Cancelled(Exception):
    """Raised inside a job when somebody asked it to stop."""


class Monitor:
    """Silent observer of a job; interfaces subclass it to forward what they hear.

    A job calls the three methods from its own thread or process; none of them may block.
    """

    def progress(self, stage: str, fraction: float) -> None:
        """Hear that the whole job has reached `fraction` (0 to 1) and is now in `stage`."""

    def notice(self, message: str) -> None:
        """Hear something that the user must be told, such as a cap that was hit."""

    def check(self) -> None:
        """Raise `Cancelled` when a stop was asked for; jobs call it often."""


class NoticeBook(Monitor):
    """Passes everything on to another monitor and remembers the notices, each once."""

    def __init__(self, monitor: Monitor | None = None) -> None:
        self._monitor = monitor or Monitor()
        self.notices: list[str] = []

    def progress(self, stage: str, fraction: float) -> None:
        """Pass on."""
        self._monitor.progress(stage, fraction)

    def notice(self, message: str) -> None:
        """Remember and pass on."""
        if message not in self.notices:
            self.notices.append(message)
            self._monitor.notice(message)

    def check(self) -> None:
        """Pass on."""
        self._monitor.check()


@final
class SubMonitor(Monitor):
    """Gives a part of a job its own 0 to 1 scale inside `[low, high]` of the parent's.

    Parameters
    ----------
    parent : Monitor
        Who is told, on the scale of the whole job.
    low, high : float
        Fractions of the whole job at which the part starts and ends, 0 <= low <= high <= 1.
    prefix : str
        Put before the part's stage names, for example ``"image 3 of 10: "``.
    """

    def __init__(self, parent: Monitor, low: float, high: float, prefix: str = "") -> None:
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"expected 0 <= low <= high <= 1, got {low} and {high}")
        self._parent = parent
        self._low = low
        self._high = high
        self._prefix = prefix

    def progress(self, stage: str, fraction: float) -> None:
        """Tell the parent, rescaled; fractions outside 0 to 1 are clipped."""
        inside = min(max(fraction, 0.0), 1.0)
        self._parent.progress(self._prefix + stage, self._low + (self._high - self._low) * inside)

    def notice(self, message: str) -> None:
        """Pass the message on, with the prefix that says which part it is about."""
        self._parent.notice(self._prefix + message)

    def check(self) -> None:
        """Ask the parent."""
        self._parent.check()


class TimeLeft:
    """Estimates the seconds left from the fractions heard so far.

    Work and time are both summed up and fade together, so that a report counts by the time that
    it stands for: ten quick steps in a row do not look like great speed. What lies further back
    than a third of the time so far counts little, so a slower stage is soon noticed.

    Parameters
    ----------
    memory : float
        Shortest time in seconds after which a report has faded to a third.
    """

    def __init__(self, memory: float = 20.0) -> None:
        if memory <= 0.0:
            raise ValueError(f"memory must be above 0 seconds, got {memory}")
        self._memory = memory
        self._last: tuple[float, float] | None = None
        self._began = self._done = self._spent = 0.0

    def update(self, fraction: float, now: float) -> float | None:
        """Take in a report and return the seconds left, or None while nothing can be said.

        Parameters
        ----------
        fraction : float
            Part of the job that is done, 0 to 1. Going backwards starts the estimate afresh.
        now : float
            Time of the report in seconds on any clock that only moves forward.
        """
        if self._last is None or fraction < self._last[0]:
            self._last, self._began = (fraction, now), now
            self._done = self._spent = 0.0
            return None
        done, silence = fraction - self._last[0], now - self._last[1]
        if done > 0.0:
            kept = math.exp(-silence / max(self._memory, (now - self._began) / 3))
            self._done = self._done * kept + done
            self._spent = self._spent * kept + silence
            self._last, silence = (fraction, now), 0.0
        if fraction >= 1.0:
            return 0.0
        if self._spent == 0.0 or self._done == 0.0:
            return None
        return max((1.0 - fraction) * self._spent / self._done - silence, 0.0)
