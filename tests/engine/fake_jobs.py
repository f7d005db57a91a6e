"""Small jobs that finish, fail, hang and die on purpose."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from napari_sartorius.engine.context import WorkerContext


@dataclass
class Echo:
    value: Any

    def run(self, context: WorkerContext) -> Any:
        return self.value


@dataclass
class Steps:
    """Reports its steps, with a notice in the middle."""

    count: int

    def run(self, context: WorkerContext) -> str:
        for step in range(self.count):
            context.monitor.progress(f"step {step}", step / self.count)
            if step == self.count // 2:
                context.monitor.notice("half way")
        context.monitor.progress("done", 1.0)
        return "all steps"


@dataclass
class WaitForCancel:
    """Works until it is asked to stop, and says so in a file."""

    witness: str

    def run(self, context: WorkerContext) -> str:
        while True:
            try:
                context.monitor.progress("working", 0.5)
            except BaseException:
                with open(self.witness, "w") as file:
                    file.write("asked")
                raise
            time.sleep(0.01)


@dataclass
class IgnoreCancel:
    """A busy loop that nobody can talk to."""

    def run(self, context: WorkerContext) -> None:
        context.monitor.progress("busy", 0.1)
        while True:
            pass


@dataclass
class FinishAfterCancel:
    """Returns a result although it was asked to stop meanwhile."""

    def run(self, context: WorkerContext) -> str:
        context.monitor.progress("finishing", 0.9)
        time.sleep(0.3)
        return "too late"


@dataclass
class Fail:
    kind: str

    def run(self, context: WorkerContext) -> None:
        if self.kind == "user":
            raise UserError("scan.tif is empty: save it again.")
        if self.kind == "memory":
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        if self.kind == "cuda":
            raise RuntimeError("CUDA error: device-side assert triggered")
        if self.kind == "exit":
            sys.exit(5)
        if self.kind == "module":
            raise ModuleNotFoundError("No module named 'nothing'", name="nothing")
        raise ZeroDivisionError("division by zero")


@dataclass
class Die:
    """Ends its own process without a word to the channel."""

    signal_number: int = signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM

    def run(self, context: WorkerContext) -> None:
        print("last words of the worker", flush=True)
        context.monitor.progress("dying", 0.5)
        os.kill(os.getpid(), self.signal_number)
        time.sleep(30)


@dataclass
class DieOnPaper(Die):
    """Leaves something behind that its user can go on from."""

    after_crash: ClassVar[str] = "go on from what is on paper"


@dataclass
class FailOnPaper(Fail):
    """As `DieOnPaper`."""

    after_memory: ClassVar[str] = "write smaller"


@dataclass
class Describe:
    """Says where it ran, how often the cache was filled, and what is loaded."""

    def run(self, context: WorkerContext) -> dict[str, Any]:
        made: list[int] = []
        context.cache.get("counter", lambda: made.append(1))
        return {"pid": os.getpid(), "made": len(made), "torch": "torch" in sys.modules}


@dataclass
class Unpicklable:
    """Returns what cannot travel."""

    def run(self, context: WorkerContext) -> Any:
        return lambda: None


@dataclass
class SendForeignMessage:
    """Reports in the name of another job before it finishes."""

    def run(self, context: WorkerContext) -> str:
        from napari_sartorius.engine.messages import NoticeMessage, ProgressMessage

        channel = context.monitor._channel  # type: ignore[attr-defined]
        channel.send(ProgressMessage(-1, "old", 0.99))
        channel.send(NoticeMessage(-1, "old notice"))
        return "mine"


@dataclass
class ReadInput:
    """Prints and reads like careless library code."""

    def run(self, context: WorkerContext) -> str:
        print("noise " * 5000)
        os.write(1, b"raw noise\n")
        return sys.stdin.read() if sys.stdin else ""
