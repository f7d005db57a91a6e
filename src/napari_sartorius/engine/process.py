"""Starting, listening to and surely ending the one worker process of a dock.

A plain child interpreter is started instead of ``multiprocessing``'s spawn, because spawn imports
the parent's ``__main__`` again: that is napari's launcher, or a script without a guard.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from multiprocessing.spawn import get_executable
from typing import Any, BinaryIO, cast

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.messages import HelloMessage
from napari_sartorius.engine.wire import Channel

_log = logging.getLogger("napari_sartorius.engine.worker")
_TAIL_LINES = 40
_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from napari_sartorius.engine.worker import main; main()"
)

_AFTER_CRASH = (
    "nothing was changed and you can run again, with a smaller tile if memory was the cause"
)


class WorkerProcess:
    """A running worker: its channel, the tail of what it printed, and its certain end."""

    def __init__(self) -> None:
        self._process = _start_interpreter()
        self.channel = Channel(
            cast("BinaryIO", self._process.stdout), cast("BinaryIO", self._process.stdin)
        )
        self.said_hello = False
        self._killed = False
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._drain = threading.Thread(
            target=self._drain_output, name="sartorius-worker-log", daemon=True
        )
        self._drain.start()

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and nobody has killed it."""
        return not self._killed and self._process.poll() is None

    def receive(self) -> Any:
        """Wait for the next message about a job; EOFError when the worker is gone."""
        while True:
            message = self.channel.receive()
            if not isinstance(message, HelloMessage):
                return message
            self.said_hello = True

    def kill(self) -> None:
        """End the process and its children now, without asking."""
        if self._process.poll() is not None:
            return
        self._killed = True
        if sys.platform != "win32":
            # The worker leads its own group, so that its helpers end with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def stop(self, grace: float) -> None:
        """Ask the process to leave by closing its input, kill it after `grace` s, and reap it."""
        if not self.channel.close_writer(timeout=min(grace, 0.2)):
            self.kill()
            self.channel.close_writer(timeout=5.0)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def release(self) -> None:
        """Close what is left of a stopped process; only when no thread is receiving from it."""
        self._drain.join(timeout=2.0)
        self.channel.close_reader()
        if not self._drain.is_alive():
            cast("BinaryIO", self._process.stderr).close()

    @property
    def log_tail(self) -> str:
        """The last lines that the worker wrote, for the report of a crash."""
        return "\n".join(self._tail)

    def describe_death(self, job: object = None) -> str:
        """One sentence about why a stopped process ended, with what the user of `job` can do."""
        self._drain.join(timeout=1.0)
        code = self._process.returncode
        if not self.said_hello:
            last = self._tail[-1] if self._tail else f"exit code {code}"
            return (
                f"The process that runs the networks could not start ({last}): "
                "check the installation with `napari-sartorius doctor`."
            )
        remedy = getattr(job, "after_crash", _AFTER_CRASH)
        return (
            f"The process that runs the networks stopped unexpectedly ({_reason(code)}); {remedy}."
        )

    def _drain_output(self) -> None:
        stream = cast("BinaryIO", self._process.stderr)
        while raw := stream.readline(8192):
            for line in raw.decode("utf-8", "replace").splitlines():
                if line.strip():
                    self._tail.append(line.rstrip())
                    _log.info("%s", line.rstrip())
        self._process.poll()  # reap an idle worker that died, so that it does not stay a zombie


def _start_interpreter() -> subprocess.Popen[bytes]:
    executable = get_executable()
    if not executable:
        raise UserError(
            "No Python interpreter is known to start the worker with: run napari from a normal "
            "Python installation."
        )
    if isinstance(executable, bytes):
        executable = os.fsdecode(executable)
    # The worker finds exactly what this process finds, test helpers and user paths included.
    path = [entry or os.getcwd() for entry in sys.path]
    command = [executable, "-P", "-u", "-c", _BOOTSTRAP, json.dumps(path)]
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        # No console window beside a viewer without one; yields to the viewer's drawing.
        options["creationflags"] = (
            subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        )
    else:
        options["start_new_session"] = True
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"},
            **options,
        )
    except OSError as error:
        raise UserError(
            f"The worker could not be started with {executable} ({error}): run napari from a "
            "normal Python installation."
        ) from error


def _reason(code: int | None) -> str:
    if code is None:
        return "it closed its channel"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return "killed, often because the computer ran out of memory"
    return f"{name}, a crash inside a native library or driver"
