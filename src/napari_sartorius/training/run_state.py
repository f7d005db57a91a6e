"""What a run is doing, kept in its folder: it can be watched, found again and continued.

A run belongs to its folder and not to the window that started it. Whoever looks into the folder,
after a crash or from another window, learns from ``state.json`` what was wanted, how far it came
and whether anybody still works on it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil
from platformdirs import user_state_path
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.project.folder import free_name
from napari_sartorius.training.run_files import CANCEL_FILE, LAST_FILE, PAUSE_FILE, STATE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

Stage = Literal["running", "paused", "finished", "failed", "cancelled"]

_STEP = re.compile(r"training, step (\d+) of (\d+)")  # as the trainer says it
_BEAT_S = 5.0
_SILENT_S = 60.0
"""Of a run on another computer nothing is known but when it was last heard of."""


class RunState(BaseModel):
    """A run as its folder tells of it.

    Parameters
    ----------
    name
        Of the model that is being made.
    kind
        Which job makes it.
    job
        Arguments of the job, as JSON, so that the same job can be given again.
    pid, host, process_started
        Who works on it: the process, its computer, and when the process began (seconds since
        1970), since numbers of processes are used again.
    started, heartbeat
        When the run began and when it was last heard of, seconds since 1970.
    step, steps
        Done and planned.
    state
        ``running`` is also what a killed run says; `is_worked_on` knows better.
    sentence
        Why it failed.
    result
        What came of it, as JSON.
    """

    model_config = ConfigDict(extra="ignore")  # of a later version

    format: int = 1
    name: str
    kind: str = "finetune"
    job: dict[str, Any] = {}
    pid: int = 0
    host: str = ""
    process_started: float = 0.0
    started: float = 0.0
    heartbeat: float = 0.0
    step: int = 0
    steps: int = 0
    state: Stage = "running"
    sentence: str = ""
    result: dict[str, Any] | None = None

    def is_worked_on(self, now: float | None = None) -> bool:
        """Whether a living process works on the run."""
        if self.state not in {"running", "paused"}:
            return False
        if self.host != socket.gethostname():
            return (time.time() if now is None else now) - self.heartbeat < _SILENT_S
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.process_started) < 2.0
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


def read_state(folder: Path) -> RunState | None:
    """State of the run in a folder; None where there is none, or it cannot be read."""
    try:
        return RunState.model_validate_json((folder / STATE_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_state(folder: Path, state: RunState) -> None:
    """Write ``state.json``, atomically; errors as `io.atomic.atomic_write`."""
    write_text(folder / STATE_FILE, state.model_dump_json(indent=1) + "\n")


def user_runs_folder() -> Path:
    """Where runs live that belong to no project; the variable SARTORIUS_STATE moves it."""
    chosen = os.environ.get("SARTORIUS_STATE")
    return (Path(chosen) if chosen else user_state_path("napari-sartorius")) / "runs"


def unfinished_runs(places: Iterable[Path]) -> list[tuple[Path, RunState]]:
    """Runs that nobody works on and that can go on, the latest first.

    Parameters
    ----------
    places
        Folders whose folders are runs.
    """
    return [
        (folder, state)
        for folder, state in _runs(places)
        if state.state != "finished" and not state.is_worked_on() and (folder / LAST_FILE).is_file()
    ]


def live_runs(places: Iterable[Path]) -> list[tuple[Path, RunState]]:
    """Runs that some process works on, the latest first; parameters as `unfinished_runs`."""
    return [(folder, state) for folder, state in _runs(places) if state.is_worked_on()]


def _runs(places: Iterable[Path]) -> list[tuple[Path, RunState]]:
    found = []
    for place in places:
        for folder in place.iterdir() if place.is_dir() else ():
            state = read_state(folder)
            if state is not None:
                found.append((folder, state))
    return sorted(found, key=lambda one: one[1].heartbeat, reverse=True)


def discard(folder: Path, trash: Path) -> Path:
    """Move a run's folder to a trash folder; returns where it is now.

    Raises
    ------
    UserError
        When it cannot be moved.
    """
    place = free_name(trash, folder.name)
    try:
        trash.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, place)
    except OSError as error:
        raise UserError(
            f"{folder} could not be moved to {trash} ({error.strerror or error}): close what uses "
            "it and try again."
        ) from error
    return place


class RunKeeper(Monitor):
    """Keeps ``state.json`` true while a job runs, and hands on to another monitor what it hears.

    A thread writes it every few seconds, also while a validation takes minutes. A disk that is
    full for a moment does not end a run.

    Parameters
    ----------
    folder
        Of the run.
    state
        What is known at the start; who works on it is filled in.
    monitor
        Hears all of it, and says when to stop.
    beat
        Seconds between two writings.
    """

    def __init__(
        self, folder: Path, state: RunState, monitor: Monitor, beat: float = _BEAT_S
    ) -> None:
        now = time.time()
        self._folder, self._monitor, self._beat = folder, monitor, beat
        self._told = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()
        own = psutil.Process()
        self.state = state.model_copy(
            update={
                "pid": own.pid,
                "host": socket.gethostname(),
                "process_started": own.create_time(),
                "started": state.started or now,
                "heartbeat": now,
                "state": "running",
                "sentence": "",
            }
        )
        self._thread = threading.Thread(target=self._keep, name="sartorius-run", daemon=True)

    def __enter__(self) -> RunKeeper:
        write_state(self._folder, self.state)  # a folder that cannot be written to ends it here
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if isinstance(error, Cancelled):
            self._write(state="cancelled")
        elif error is not None:
            self._write(state="failed", sentence=" ".join(str(error).split())[:500])
        else:
            self._write(state="finished")

    def progress(self, stage: str, fraction: float) -> None:
        """Note the step, and hand on."""
        told = _STEP.fullmatch(stage)
        if told is not None:
            self.state.step, self.state.steps = int(told[1]), int(told[2])
        self._monitor.progress(stage, fraction)

    def notice(self, message: str) -> None:
        """Hand on."""
        self._monitor.notice(message)

    def check(self) -> None:
        """Ask the other monitor, and whether somebody has put the file into the folder."""
        self._monitor.check()
        if (self._folder / CANCEL_FILE).exists():
            raise Cancelled

    def _keep(self) -> None:
        while not self._over.wait(self._beat):
            paused = (self._folder / PAUSE_FILE).exists()
            self._write(state="paused" if paused else "running")

    def _write(self, **changes: Any) -> None:
        with self._lock, suppress(UserError):
            self.state = self.state.model_copy(update={"heartbeat": time.time(), **changes})
            write_state(self._folder, self.state)
