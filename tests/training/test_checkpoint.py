"""A disk that fills up costs no weights and does not end a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.training.checkpoint import Checkpoints, Progress, write_tensors
from napari_sartorius.training.fit import Trainer
from tiny_runs import squares, tiny_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no limit on the size of files"
)


class Disk(Monitor):
    """A disk that is full during some steps: a real limit of this process on what it writes."""

    def __init__(self, folder: Path, full: range = range(0)) -> None:
        import resource

        self.notices: list[str] = []
        self.kept: list[int] = []
        self.folder, self.full = folder, full
        self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def progress(self, stage: str, fraction: float) -> None:
        words = stage.replace(",", "").split()
        step = int(words[2])
        self.fill(step in self.full)
        if step in self.full:
            self.kept.append(torch.load(self.folder / "last.pt")["progress"]["step"])

    def fill(self, full: bool, limit: int = 100_000) -> None:
        import resource

        resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit if full else self.limits[0], self.limits[1])
        )

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.fixture
def quiet_limit() -> Iterator[None]:
    """Writing beyond the limit is an error and no signal, and the limit ends with the test."""
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("quiet_limit")
def test_a_run_outlives_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    images = squares(5)
    # The best validation, that of step 3, falls into the time in which nothing can be written.
    config = tiny_run(steps=7, learning_rate=1e-9)
    disk = Disk(tmp_path / "full", full=range(3, 6))
    result = Trainer(config, images[:4], images[4:], disk.folder, disk).fit()
    told = [line for line in disk.notices if "disk is full" in line]
    assert [line.split(" was not written")[0].rsplit("/", 1)[1] for line in told] == [
        "last.pt",
        "best.pt",
    ]
    assert told[0].endswith("until then what was written before stays.")
    assert disk.kept == [2, 2, 2]
    # What the disk refused was written later, and is what the validation saw.
    assert (result.best_step, result.steps) == (3, 7)
    short = config.model_copy(update={"steps": 3})
    wanted = Trainer(short, images[:4], images[4:], tmp_path / "short", Monitor()).fit()
    for name, value in torch.load(result.best).items():
        torch.testing.assert_close(value, torch.load(wanted.best)[name], rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("quiet_limit")
def test_best_weights_that_cannot_be_written_at_the_end_are_an_error(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    network = torch.nn.Linear(400, 400)
    checkpoints = Checkpoints(tmp_path, disk)
    assert _save(checkpoints, network, 1, is_best=True)
    before = {name: (tmp_path / name).read_bytes() for name in ("last.pt", "best.pt")}
    disk.fill(True)
    with torch.no_grad():
        network.weight += 1
    assert not _save(checkpoints, network, 2, is_best=True)
    assert not _save(checkpoints, network, 3)
    with pytest.raises(UserError, match=r"best\.pt was not written because the disk is full"):
        checkpoints.finish()
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    assert len(list(tmp_path.iterdir())) == 2
    wanted = network.weight.detach().clone()
    with torch.no_grad():
        network.weight += 1  # the average moves on, what is owed does not
    disk.fill(False)
    assert _save(checkpoints, network, 4)
    torch.testing.assert_close(torch.load(tmp_path / "best.pt")["weight"], wanted)
    checkpoints.finish()


def test_resuming_puts_right_what_a_kill_between_the_two_files_left(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 3)
    checkpoints = Checkpoints(tmp_path, Monitor())
    _save(checkpoints, network, 2, is_best=True)
    earlier = (tmp_path / "best.pt").read_bytes()
    with torch.no_grad():
        network.weight += 1
    _save(checkpoints, network, 4, is_best=True)
    (tmp_path / "best.pt").write_bytes(earlier)  # as if the second file had not been written
    assert Checkpoints(tmp_path, Monitor()).load() is not None
    torch.testing.assert_close(torch.load(tmp_path / "best.pt"), dict(network.state_dict()))
    # Later checkpoints are about other weights and leave the best alone.
    best = (tmp_path / "best.pt").read_bytes()
    with torch.no_grad():
        network.weight += 1
    _save(checkpoints, network, 6)
    Checkpoints(tmp_path, Monitor()).load()
    assert (tmp_path / "best.pt").read_bytes() == best


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be resumed"):
        Checkpoints(tmp_path, Monitor()).load()


def _save(
    checkpoints: Checkpoints, network: nn.Module, step: int, *, is_best: bool = False
) -> bool:
    state = {"average": network.state_dict()}
    best = step if is_best else 0
    progress = Progress(step=step, best_step=best, rows=[{"step": float(step)}])
    return checkpoints.save(state, progress, network, is_best=is_best)


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """Their checkpoints hold random numbers instead of the scale and the size of portions."""
    images = squares(3)
    first = Trainer(tiny_run(steps=2), images[:2], images[2:], tmp_path, Monitor())
    first.fit()
    state = torch.load(tmp_path / "last.pt")
    del state["scaler"], state["portion"]
    torch.save(state | {"random": torch.get_rng_state()}, tmp_path / "last.pt")
    later = Trainer(tiny_run(steps=4), images[:2], images[2:], tmp_path, Monitor())
    assert later.resume()
    assert later.fit().steps == 4


def test_another_figure_judges_the_best_so_far(tmp_path: Path) -> None:
    images = squares(3)
    first = Trainer(tiny_run(steps=2), images[:2], images[2:], tmp_path, Monitor())
    first.fit()
    row = first.progress.rows[-1]
    row.update({"score": 0.5, "ap50": 0.7, "ap": 0.3})
    first.progress.best_score = 0.5
    first._save()
    later = Trainer(tiny_run(select_by="ap50"), images[:2], images[2:], tmp_path, Monitor())
    later.resume()
    assert later.progress.best_score == 0.7


def test_ctrl_c_while_a_checkpoint_is_written_is_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(state: object, stream: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904 - as torch does

    (tmp_path / "last.pt").write_bytes(b"before")
    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(KeyboardInterrupt):
        write_tensors(tmp_path / "last.pt", {})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
