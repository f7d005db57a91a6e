"""Keeps two windows from writing to one project: the second one reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from pathlib import Path


class ProjectLock:
    """A lock that the system takes back when its process ends, however it ends.

    Parameters
    ----------
    folder
        The project's.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / ".lock", timeout=0)

    def take(self) -> str | None:
        """Take the lock; returns why it cannot be had, as the end of a sentence."""
        try:
            self._lock.acquire()
        except Timeout:
            return "it is open in another window"
        except OSError:
            return "its folder cannot be written to"
        return None

    def give_back(self) -> None:
        """Let others write; safe to call twice."""
        self._lock.release(force=True)
