"""Started as a program: one run that nobody disturbs, and the same one killed again and again.

Usage: ``python killed_runs.py FOLDER``. Every attempt is a process of its own, forked here because
importing torch takes longer than the run, and ends by a signal that nobody hears: nothing is
tidied up.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import faster_coco_eval  # noqa: F401  here, not again in every attempt
import torch

from napari_sartorius.core.progress import Monitor
from napari_sartorius.io import atomic
from napari_sartorius.training.fit import Trainer
from tiny_runs import squares, tiny_run

if TYPE_CHECKING:
    from collections.abc import Callable


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def while_renaming(name: str, count: int, *, after: bool) -> Callable[[], None]:
    """Dies just before or after a file has been given its name, the `count`-th time."""

    def install() -> None:
        rename, seen = os.replace, []

        def replace(source: Any, target: Any) -> None:
            hit = Path(target).name == name
            seen.extend([1] if hit else [])
            if hit and len(seen) == count and not after:
                die()
            rename(source, target)
            if hit and len(seen) == count:
                die()

        atomic.os.replace = replace  # type: ignore[attr-defined]

    return install


def half_written(count: int) -> Callable[[], None]:
    """Dies with half of a file on the disk, the `count`-th that torch writes."""

    def install() -> None:
        whole, seen = torch.save, []

        def save(state: Any, stream: Any) -> None:
            seen.append(1)
            if len(seen) < count:
                whole(state, stream)
                return
            start = stream.tell()
            whole(state, stream)
            stream.truncate(start + (stream.tell() - start) // 2)
            stream.flush()
            os.fsync(stream.fileno())
            die()

        torch.save = save

    return install


class Clock(Monitor):
    """Dies so many seconds after a step, wherever the run is by then."""

    def __init__(self, step: int, seconds: float) -> None:
        self.step, self.seconds = step, seconds

    def progress(self, stage: str, fraction: float) -> None:
        if stage.startswith(f"training, step {self.step} "):
            signal.setitimer(signal.ITIMER_REAL, self.seconds)  # SIGALRM, which ends it at once


def attempt(folder: Path, install: Callable[[], None] | None, monitor: Monitor) -> int:
    """Signal that ended a run that begins, or goes on, in `folder`; 0 when it was finished."""
    child = os.fork()
    if child == 0:
        try:
            if install is not None:
                install()
            images = squares(6)
            trainer = Trainer(CONFIG, images[:4], images[4:], folder, monitor)
            trainer.resume()
            trainer.fit()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    assert os.WEXITSTATUS(status) == 0, "the run failed by itself"
    return 0


CONFIG = tiny_run(accumulate=2, select_by="ap")
QUIET = Monitor()


def main(folder: Path) -> None:
    assert attempt(folder / "whole", None, QUIET) == 0
    killed = folder / "killed"
    deaths: list[tuple[Callable[[], None] | None, Monitor]] = [
        (None, Clock(1, 0.01)),
        (half_written(1), QUIET),  # last.pt of step 2
        (while_renaming("last.pt", 1, after=True), QUIET),
        (while_renaming("curve.csv", 1, after=True), QUIET),  # validated, nothing saved
        (while_renaming("best.pt", 1, after=False), QUIET),  # last.pt of step 3 is there
        (None, Clock(5, 0.03)),  # in the middle of a step
        (half_written(1), QUIET),  # last.pt of step 6
    ]
    for install, monitor in deaths:
        assert attempt(killed, install, monitor) in {signal.SIGKILL, signal.SIGALRM}
        last = killed / "last.pt"
        step = torch.load(last)["progress"]["step"] if last.exists() else 0
        print(f"killed, last checkpoint of step {step}")
    assert attempt(killed, None, QUIET) == 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
