"""Progress on stderr: a bar with the time left on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from napari_sartorius.core.progress import Monitor, TimeLeft

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# In a log a line comes at most this often in seconds, and then only with news: so much more done,
# or nothing said for so long that one would wonder.
_SHORTEST_SILENCE, _NEWS, _LONGEST_SILENCE = 10.0, 0.1, 60.0


class ConsoleMonitor(Monitor):
    """Shows a job to whoever started it, on stderr; stdout is for results.

    On a terminal a bar moves. Elsewhere (a log, a pipe, ``nohup``) a line is printed now and then,
    ten seconds after the last one when a tenth more is done, a minute after it at the latest.

    Use it as a context manager, so that the bar is taken away whatever happens.

    Parameters
    ----------
    clock
        Seconds on a clock that only moves forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=1.0, left="")
        self._clock = clock
        self._time_left = TimeLeft()
        self._last_line = (clock(), 0.0)
        self._told: set[str] = set()

    def __enter__(self) -> ConsoleMonitor:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def progress(self, stage: str, fraction: float) -> None:
        """Move the bar, or print a line when it is time for one."""
        now = self._clock()
        left = duration(self._time_left.update(fraction, now))
        if self._console.is_terminal:
            self._bar.update(self._task, description=stage, completed=fraction, left=left)
        elif self._is_time_for_a_line(fraction, now):
            self._last_line = (now, fraction)
            self._print(f"{fraction:4.0%}  {stage}" + (f", {left}" if left else ""))

    def notice(self, message: str) -> None:
        """Print a notice once, above the bar."""
        if message not in self._told:
            self._told.add(message)
            self._print(f"Note: {message}")

    def _is_time_for_a_line(self, fraction: float, now: float) -> bool:
        then, before = self._last_line
        silence = now - then
        news = round(abs(fraction - before), 6) >= _NEWS
        return silence >= _LONGEST_SILENCE or (silence >= _SHORTEST_SILENCE and news)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float | None) -> str:
    """Time left in words that do not pretend to be exact; empty when unknown."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s left"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min left"
    return f"{seconds / 3600:.1f} h left"
