"""A run hears what is asked of it by files in its folder."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import torch

from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.training.fit import Trainer
from napari_sartorius.training.run_files import PAUSE_FILE, STOP_FILE
from tiny_runs import squares, tiny_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sartorius.training.fit_results import ValidationEvent


class Asking(Monitor):
    """Puts a file into the folder after a step, and does something once the run waits."""

    def __init__(self, folder: Path, name: str, step: int) -> None:
        self.file, self.step = folder / name, step
        self.notices: list[str] = []
        self.steps: list[str] = []
        self.checks = 0
        self.when_paused: Callable[[], None] = lambda: None

    def progress(self, stage: str, fraction: float) -> None:
        self.steps.append(stage)
        if stage.startswith(f"training, step {self.step} "):
            self.file.touch()

    def notice(self, message: str) -> None:
        self.notices.append(message)
        if message.startswith("paused"):
            threading.Timer(0.5, self.when_paused).start()

    def check(self) -> None:
        self.checks += 1


def _trainer(folder: Path, monitor: Monitor) -> Trainer:
    images = squares(5)
    return Trainer(tiny_run(steps=5, validate_every=5), images[:4], images[4:], folder, monitor)


def test_a_pause_waits_with_a_fresh_checkpoint_and_changes_nothing(tmp_path: Path) -> None:
    whole = _trainer(tmp_path / "whole", Monitor())
    whole.fit()
    asking = Asking(tmp_path, PAUSE_FILE, 3)
    saved: list[int] = []

    def go_on() -> None:
        saved.append(torch.load(tmp_path / "last.pt")["progress"]["step"])
        saved.append(len(asking.steps))
        asking.file.unlink()

    asking.when_paused = go_on
    paused = _trainer(tmp_path, asking)
    paused.fit()
    assert saved[0] == 3
    assert asking.steps[saved[1] - 1].startswith("training, step 3 ")
    assert sum(line.startswith("paused after step 3") for line in asking.notices) == 1
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, paused.network.state_dict()[name]), name


def test_a_cancel_is_heard_during_a_pause(tmp_path: Path) -> None:
    asking = Asking(tmp_path, PAUSE_FILE, 1)

    def cancel() -> None:
        def check() -> None:
            raise Cancelled

        asking.check = check  # type: ignore[method-assign]

    asking.when_paused = cancel
    with pytest.raises(Cancelled):
        _trainer(tmp_path, asking).fit()
    assert torch.load(tmp_path / "last.pt")["progress"]["step"] == 1


def test_a_stop_ends_the_run_also_during_a_pause_and_is_then_forgotten(tmp_path: Path) -> None:
    asking = Asking(tmp_path, PAUSE_FILE, 2)
    asking.when_paused = (tmp_path / STOP_FILE).touch
    result = _trainer(tmp_path, asking).fit()
    assert result.stopped_early
    assert result.steps == result.best_step == 2
    assert result.best.exists()
    assert not (tmp_path / STOP_FILE).exists()
    asking.file.unlink()
    later = _trainer(tmp_path, Monitor())
    assert later.resume()
    assert later.fit().steps == 5


def test_whoever_asks_hears_of_validations_when_they_are_on_the_disk(tmp_path: Path) -> None:
    heard: list[tuple[int, bool, float]] = []

    def listen(event: ValidationEvent) -> None:
        state = torch.load(tmp_path / "last.pt")
        assert state["progress"]["rows"][-1] == event.row
        assert event.result is not None
        assert event.row["ap"] == event.result.ap
        assert not event.network.training
        heard.append((event.step, event.is_best, event.row["score"]))

    images = squares(5)
    config = tiny_run(steps=4, validate_every=2, validate_first=True)
    trainer = Trainer(config, images[:4], images[4:], tmp_path, Monitor(), on_validated=listen)
    result = trainer.fit()
    assert [step for step, _, _ in heard] == [0, 2, 4]
    assert heard[0][1]
    best = max(heard, key=lambda one: (one[2], -one[0]))
    assert (result.best_step, result.best_score) == (best[0], best[2])


def test_without_validation_images_the_last_weights_are_kept_and_it_is_said(
    tmp_path: Path,
) -> None:
    asking = Asking(tmp_path, "nothing", 99)
    trainer = Trainer(tiny_run(steps=4), squares(2), [], tmp_path, asking)
    result = trainer.fit()
    assert result.best_step == 4
    assert "there are no validation images" in asking.notices[0]
    for name, value in torch.load(result.best).items():
        assert torch.equal(value, trainer.average.network.state_dict()[name])
