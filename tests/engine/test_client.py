"""The promises of the engine: order, cancel, crash, warmth, and a viewer without torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import fake_jobs as jobs
import numpy as np
import psutil
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.engine.client import WorkerClient
from napari_sartorius.engine.handle import JobState
from napari_sartorius.engine.messages import (
    CancelledMessage,
    CrashedMessage,
    FinishedMessage,
    JobMessage,
    NoticeMessage,
    ProgressMessage,
    StartedMessage,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.engine.context import Job

PATIENCE = 600.0  # seconds; only a hang takes that long


class Recorder:
    """A listener that remembers, and lets a test wait for the first progress."""

    def __init__(self) -> None:
        self.messages: list[JobMessage] = []
        self.moving = threading.Event()

    def __call__(self, message: JobMessage) -> None:
        self.messages.append(message)
        if isinstance(message, ProgressMessage):
            self.moving.set()

    def types(self) -> list[type]:
        return [type(message) for message in self.messages]


def run(client: WorkerClient, job: Job) -> JobState:
    return client.submit(job).wait(PATIENCE)


def test_progress_arrives_in_order_and_ends_with_the_result(client: WorkerClient) -> None:
    recorder = Recorder()
    handle = client.submit(jobs.Steps(6), recorder)
    assert handle.outcome(PATIENCE) == "all steps"
    assert handle.state is JobState.FINISHED
    stages = [m.stage for m in recorder.messages if isinstance(m, ProgressMessage)]
    fractions = [m.fraction for m in recorder.messages if isinstance(m, ProgressMessage)]
    assert stages == [*(f"step {i}" for i in range(6)), "done"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert recorder.types()[0] is StartedMessage
    assert recorder.types()[-1] is FinishedMessage
    assert [m.text for m in recorder.messages if isinstance(m, NoticeMessage)] == ["half way"]
    assert {m.job_id for m in recorder.messages} == {handle.id}


def test_seconds_left_are_known_at_the_end(client: WorkerClient) -> None:
    recorder = Recorder()
    client.submit(jobs.Steps(5), recorder).wait(PATIENCE)
    last = [m for m in recorder.messages if isinstance(m, ProgressMessage)][-1]
    assert last.seconds_left == 0.0


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint16).reshape(3, 4),
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.zeros((0, 5), np.int64),
        np.arange(3_000_000, dtype=np.int32),
    ],
    ids=["small", "transposed", "empty", "larger than a pipe"],
)
def test_arrays_return_equal_and_writable(client: WorkerClient, array: np.ndarray) -> None:
    back = client.submit(jobs.Echo(array)).outcome(PATIENCE)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    assert back.flags.writeable


def test_a_job_that_listens_is_cancelled_and_the_worker_stays_warm(
    client: WorkerClient, tmp_path: Path
) -> None:
    recorder = Recorder()
    witness = tmp_path / "witness"
    handle = client.submit(jobs.WaitForCancel(str(witness)), recorder)
    assert recorder.moving.wait(PATIENCE)
    pid = client.worker_pid
    handle.cancel()
    assert handle.state in (JobState.CANCELLING, JobState.CANCELLED)
    assert handle.wait(PATIENCE) is JobState.CANCELLED
    assert witness.read_text() == "asked"
    assert recorder.types()[-1] is CancelledMessage
    assert handle.result is None
    assert client.worker_pid == pid
    with pytest.raises(Cancelled):
        handle.outcome()


def test_a_job_that_ignores_cancel_is_killed(client: WorkerClient) -> None:
    recorder = Recorder()
    handle = client.submit(jobs.IgnoreCancel(), recorder)
    assert recorder.moving.wait(PATIENCE)
    pid = client.worker_pid
    assert pid is not None
    client.cancel()
    assert handle.wait(PATIENCE) is JobState.CANCELLED
    assert handle.error is None
    assert recorder.types().count(CancelledMessage) == 1
    assert client.submit(jobs.Echo(7)).outcome(PATIENCE) == 7
    assert client.worker_pid != pid
    assert not psutil.pid_exists(pid)


def test_a_result_that_comes_after_cancel_is_dropped(client: WorkerClient) -> None:
    recorder = Recorder()
    handle = client.submit(jobs.FinishAfterCancel(), recorder)
    assert recorder.moving.wait(PATIENCE)
    handle.cancel()
    assert handle.wait(PATIENCE) is JobState.CANCELLED
    assert handle.result is None
    assert FinishedMessage not in recorder.types()


def test_a_waiting_job_is_cancelled_without_disturbing_the_running_one(
    client: WorkerClient, tmp_path: Path
) -> None:
    recorder, waiting = Recorder(), Recorder()
    first = client.submit(jobs.WaitForCancel(str(tmp_path / "w")), recorder)
    second = client.submit(jobs.Echo(1), waiting)
    assert recorder.moving.wait(PATIENCE)
    assert second.state is JobState.QUEUED
    second.cancel()
    assert second.state is JobState.CANCELLED
    assert waiting.types() == [CancelledMessage]
    assert first.state is JobState.RUNNING
    first.cancel()
    assert first.wait(PATIENCE) is JobState.CANCELLED
    assert client.submit(jobs.Echo(2)).outcome(PATIENCE) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals end a process on POSIX only")
def test_kill_9_from_outside_is_one_sentence_and_the_next_run_works(client: WorkerClient) -> None:
    recorder = Recorder()
    handle = client.submit(jobs.IgnoreCancel(), recorder)
    assert recorder.moving.wait(PATIENCE)
    pid = client.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert handle.wait(PATIENCE) is JobState.CRASHED
    end = recorder.messages[-1]
    assert isinstance(end, CrashedMessage)
    assert handle.error == end.sentence
    assert "\n" not in end.sentence
    assert "killed" in end.sentence
    assert "run again" in end.sentence
    with pytest.raises(UserError, match="stopped unexpectedly"):
        handle.outcome()
    assert client.submit(jobs.Echo("again")).outcome(PATIENCE) == "again"
    assert not psutil.pid_exists(pid)


def test_a_crash_carries_the_last_output_of_the_worker(client: WorkerClient) -> None:
    handle = client.submit(jobs.Die())
    assert handle.wait(PATIENCE) is JobState.CRASHED
    assert "last words of the worker" in handle.details


def test_a_job_says_what_its_user_can_do_after_a_crash(client: WorkerClient) -> None:
    handle = client.submit(jobs.DieOnPaper())
    assert handle.wait(PATIENCE) is JobState.CRASHED
    assert (handle.error or "").endswith("; go on from what is on paper.")
    handle = client.submit(jobs.FailOnPaper("memory"))
    assert handle.wait(PATIENCE) is JobState.FAILED
    assert handle.error == "The memory was not enough: write smaller."
    handle = client.submit(jobs.Die())
    assert handle.wait(PATIENCE) is JobState.CRASHED
    assert "smaller tile" in (handle.error or "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals end a process on POSIX only")
def test_a_native_crash_names_the_signal(client: WorkerClient) -> None:
    handle = client.submit(jobs.Die(signal.SIGSEGV))
    assert handle.wait(PATIENCE) is JobState.CRASHED
    assert "SIGSEGV" in (handle.error or "")
    assert "Die" in handle.details or "fake_jobs" in handle.details  # faulthandler's stack


@pytest.mark.skipif(sys.platform == "win32", reason="signals end a process on POSIX only")
def test_a_worker_that_died_idle_is_replaced_silently(client: WorkerClient) -> None:
    client.submit(jobs.Echo(1)).outcome(PATIENCE)
    pid = client.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=PATIENCE)
    assert client.submit(jobs.Echo(2)).outcome(PATIENCE) == 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("user", "scan.tif is empty: save it again."),
        ("memory", "smaller tile"),
        ("other", "ZeroDivisionError"),
        ("exit", "SystemExit"),
        ("module", "package nothing is missing"),
    ],
)
def test_an_exception_is_one_sentence(client: WorkerClient, kind: str, expected: str) -> None:
    handle = client.submit(jobs.Fail(kind))
    assert handle.wait(PATIENCE) is JobState.FAILED
    assert handle.error is not None
    assert expected in handle.error
    assert "\n" not in handle.error
    assert "Traceback" in handle.details
    pid = client.worker_pid
    assert run(client, jobs.Echo(1)) is JobState.FINISHED
    assert client.worker_pid == pid


def test_a_broken_device_replaces_the_worker(client: WorkerClient) -> None:
    client.submit(jobs.Echo(1)).outcome(PATIENCE)
    pid = client.worker_pid
    handle = client.submit(jobs.Fail("cuda"))
    assert handle.wait(PATIENCE) is JobState.FAILED
    assert run(client, jobs.Echo(1)) is JobState.FINISHED
    assert client.worker_pid not in (None, pid)


def test_two_jobs_share_the_warm_worker_and_its_cache(client: WorkerClient) -> None:
    first = client.submit(jobs.Describe()).outcome(PATIENCE)
    second = client.submit(jobs.Describe()).outcome(PATIENCE)
    assert first["pid"] == second["pid"] == client.worker_pid
    assert (first["made"], second["made"]) == (1, 0)
    assert not first["torch"]


def test_messages_of_another_job_are_dropped(client: WorkerClient) -> None:
    recorder = Recorder()
    handle = client.submit(jobs.SendForeignMessage(), recorder)
    assert handle.outcome(PATIENCE) == "mine"
    assert recorder.types() == [StartedMessage, FinishedMessage]


def test_careless_printing_and_reading_cannot_disturb_the_channel(client: WorkerClient) -> None:
    assert client.submit(jobs.ReadInput()).outcome(PATIENCE) == ""
    assert client.submit(jobs.Echo(3)).outcome(PATIENCE) == 3


def test_what_cannot_travel_fails_without_ending_the_worker(client: WorkerClient) -> None:
    assert client.submit(jobs.Echo(1)).outcome(PATIENCE) == 1
    pid = client.worker_pid
    there = client.submit(jobs.Echo(lambda: None))
    assert there.wait(PATIENCE) is JobState.FAILED
    assert "cannot be sent" in (there.error or "")
    back = client.submit(jobs.Unpicklable())
    assert back.wait(PATIENCE) is JobState.FAILED
    assert client.submit(jobs.Echo(1)).outcome(PATIENCE) == 1
    assert client.worker_pid == pid


def test_a_listener_that_raises_does_not_stop_the_engine(
    client: WorkerClient, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(message: JobMessage) -> None:
        raise RuntimeError("widget is gone")

    assert client.submit(jobs.Echo(1), broken).outcome(PATIENCE) == 1
    assert "A listener failed" in caplog.text


def test_close_ends_the_worker_and_silences_listeners() -> None:
    client = WorkerClient(grace=1.0)
    recorder = Recorder()
    running = client.submit(jobs.IgnoreCancel(), recorder)
    waiting = client.submit(jobs.Echo(1), recorder)
    assert recorder.moving.wait(PATIENCE)
    pid = client.worker_pid
    assert pid is not None
    client.close()
    client.close()
    assert running.wait(PATIENCE) is JobState.CANCELLED
    assert waiting.state is JobState.CANCELLED
    assert CancelledMessage not in recorder.types()
    assert not psutil.pid_exists(pid)
    assert client.worker_pid is None
    assert not [t for t in threading.enumerate() if t.name == "sartorius-engine" and t.is_alive()]
    with pytest.raises(UserError, match="closed"):
        client.submit(jobs.Echo(1))


def test_no_process_is_started_before_the_first_job() -> None:
    with WorkerClient() as client:
        assert client.worker_pid is None
        assert not client.is_busy


def test_a_worker_that_cannot_start_is_one_sentence(
    client: WorkerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sartorius.engine.process._BOOTSTRAP", "raise ImportError('numpy')")
    handle = client.submit(jobs.Echo(1))
    assert handle.wait(PATIENCE) is JobState.CRASHED
    assert "could not start" in (handle.error or "")
    assert "ImportError: numpy" in (handle.error or "")
    monkeypatch.undo()
    assert client.submit(jobs.Echo(1)).outcome(PATIENCE) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="uses SIGKILL on the parent")
def test_the_worker_ends_with_its_parent() -> None:
    script = (
        "import sys, time\n"
        f"sys.path[:] = {sys.path!r}\n"
        "import fake_jobs\n"
        "from napari_sartorius.engine.client import WorkerClient\n"
        "client = WorkerClient()\n"
        "client.submit(fake_jobs.IgnoreCancel(), lambda m: print(client.worker_pid, flush=True))\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, _ = psutil.wait_procs([worker], timeout=PATIENCE)
    assert gone == [worker]


def test_a_script_without_main_guard_and_without_close_ends_cleanly(tmp_path: Path) -> None:
    script = tmp_path / "user_script.py"
    script.write_text(
        f"import sys\nsys.path[:] = {sys.path!r}\n"
        "import fake_jobs\n"
        "from napari_sartorius.engine.client import WorkerClient\n"
        "print('once')\n"
        "print(WorkerClient().submit(fake_jobs.Echo(4)).outcome(60))\n"
        "print('torch' in sys.modules, 'qtpy' in sys.modules, 'napari' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.split() == ["once", "4", "False", "False", "False"]
    assert done.stderr == ""
    assert done.returncode == 0
