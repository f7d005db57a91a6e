"""Progress on a terminal: a bar with the time left, and notices above it. All of it on stderr."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from napari_sartorius.core.progress import Monitor, TimeLeft

if TYPE_CHECKING:
    from types import TracebackType


class ConsoleMonitor(Monitor):
    """Shows a job on the terminal; silent about progress where stderr is no terminal.

    Use it as a context manager, so that the bar is taken away whatever happens.
    """

    def __init__(self) -> None:
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
        self._time_left = TimeLeft()
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
        """Move the bar."""
        left = duration(self._time_left.update(fraction, time.monotonic()))
        self._bar.update(self._task, description=stage, completed=fraction, left=left)

    def notice(self, message: str) -> None:
        """Print a notice once, above the bar."""
        if message not in self._told:
            self._told.add(message)
            self._console.print(f"Note: {message}", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float | None) -> str:
    """Time left in words that do not pretend to be exact; empty when unknown."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s left"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min left"
    return f"{seconds / 3600:.1f} h left"
