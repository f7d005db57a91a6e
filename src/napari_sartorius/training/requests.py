"""What a person asks of a run by putting a file into its folder: stop, or wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_sartorius.training.run_files import PAUSE_FILE, STOP_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sartorius.core.progress import Monitor

_LOOK_EVERY_S = 0.2


class Requests:
    """Looks for the files between two steps.

    Parameters
    ----------
    folder
        Of the run.
    monitor
        Hears of a pause, and is asked for a cancel while it lasts.
    """

    def __init__(self, folder: Path, monitor: Monitor) -> None:
        self._stop, self._pause = folder / STOP_FILE, folder / PAUSE_FILE
        self._monitor = monitor

    def stop_asked(self) -> bool:
        """Whether the run shall end after this step."""
        return self._stop.exists()

    def forget_stop(self) -> None:
        """Take the request away when the run has ended, so that it can go on later."""
        self._stop.unlink(missing_ok=True)

    def wait_while_paused(self, step: int, save: Callable[[], None]) -> None:
        """Return when there is no request to pause, or one to stop.

        Parameters
        ----------
        step
            Steps done, for the notice.
        save
            Writes a checkpoint when a pause begins.
        """
        if not self._pause.exists() or self.stop_asked():
            return
        save()
        self._monitor.notice(f"paused after step {step}; the checkpoint is on the disk")
        while self._pause.exists() and not self.stop_asked():
            self._monitor.check()
            time.sleep(_LOOK_EVERY_S)
        self._monitor.notice("going on")
