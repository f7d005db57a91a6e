"""A run's folder tells whether anybody works on it, and what is to be continued."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.training.run_files import LAST_FILE, PAUSE_FILE, STATE_FILE
from napari_sartorius.training.run_state import (
    RunKeeper,
    RunState,
    discard,
    read_state,
    unfinished_runs,
    write_state,
)

if TYPE_CHECKING:
    from pathlib import Path


def _run(place: Path, name: str, **facts: object) -> Path:
    folder = place / name
    folder.mkdir(parents=True)
    write_state(folder, RunState(name=name, host=socket.gethostname(), pid=2**22 - 3, **facts))
    (folder / LAST_FILE).touch()
    return folder


def _wait(condition: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_the_folder_tells_how_far_a_run_is_and_how_it_ended(tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []

    class Listener(Monitor):
        def progress(self, stage: str, fraction: float) -> None:
            heard.append((stage, fraction))

    state = RunState(name="ours", job={"model": "nuclei"})
    with RunKeeper(tmp_path, state, Listener(), beat=0.02) as keeper:
        assert read_state(tmp_path).is_worked_on()
        keeper.progress("reading images", 0.9)
        keeper.progress("training, step 120 of 300", 0.4)
        _wait(lambda: read_state(tmp_path).step == 120)
        (tmp_path / PAUSE_FILE).touch()
        _wait(lambda: read_state(tmp_path).state == "paused")
        keeper.state.result = {"name": "ours"}
    told = read_state(tmp_path)
    assert heard[-1] == ("training, step 120 of 300", 0.4)
    assert (told.state, told.step, told.steps) == ("finished", 120, 300)
    assert told.job == {"model": "nuclei"}
    assert told.result == {"name": "ours"}
    assert told.pid == os.getpid()
    assert not told.is_worked_on()


@pytest.mark.parametrize(
    ("error", "state", "sentence"),
    [(Cancelled(), "cancelled", ""), (UserError("the disk is full"), "failed", "the disk is full")],
)
def test_how_it_ended_is_kept(tmp_path: Path, error: Exception, state: str, sentence: str) -> None:
    with pytest.raises(type(error)), RunKeeper(tmp_path, RunState(name="x"), Monitor()):
        raise error
    told = read_state(tmp_path)
    assert (told.state, told.sentence) == (state, sentence)


def test_a_dead_process_works_on_nothing_also_when_its_number_is_used_again(tmp_path: Path) -> None:
    here = {"name": "x", "host": socket.gethostname()}
    own = psutil.Process()
    started = own.create_time()
    assert RunState(**here, pid=own.pid, process_started=started).is_worked_on()
    assert not RunState(**here, pid=own.pid, process_started=started - 99).is_worked_on()
    assert not RunState(**here, pid=2**22 - 3).is_worked_on()
    elsewhere = RunState(name="x", host="another", pid=own.pid, heartbeat=1000.0)
    assert elsewhere.is_worked_on(now=1030.0)
    assert not elsewhere.is_worked_on(now=1100.0)


def test_unfinished_runs_are_found_the_latest_first(tmp_path: Path) -> None:
    _run(tmp_path, "killed", heartbeat=5.0)
    _run(tmp_path, "cancelled", heartbeat=9.0, state="cancelled")
    _run(tmp_path, "done", state="finished")
    (_run(tmp_path, "too early") / LAST_FILE).unlink()
    (tmp_path / "no run").mkdir()
    (_run(tmp_path, "damaged") / STATE_FILE).write_text("{")
    live = _run(tmp_path, "live")
    with RunKeeper(live, RunState(name="live"), Monitor()):
        found = unfinished_runs([tmp_path, tmp_path / "nowhere"])
    assert [state.name for _, state in found] == ["cancelled", "killed"]


def test_a_discarded_run_lies_in_the_trash(tmp_path: Path) -> None:
    folder = _run(tmp_path / "runs", "one")
    place = discard(folder, tmp_path / "trash")
    assert not folder.exists()
    assert (place / LAST_FILE).exists()
    _run(tmp_path / "runs", "one")
    assert discard(folder, tmp_path / "trash") != place
    with pytest.raises(UserError, match="could not be moved"):
        discard(tmp_path / "runs" / "gone", tmp_path / "trash")
