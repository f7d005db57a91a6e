"""Runs learn, can be killed, and continue exactly where they were."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.training.fit import Trainer

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage


class StopAfter(Monitor):
    """Cancels at the given number of checks, as a user or a kill would."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self.left = checks

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled


def _trainer(
    config: TrainConfig, discs: list[AnnotatedImage], folder: Path, monitor: Monitor | None = None
) -> Trainer:
    return Trainer(config, discs[:4], discs[4:], folder, monitor or Monitor())


def test_training_lowers_the_loss_and_finds_objects(
    tiny_config: TrainConfig, discs: list[AnnotatedImage], tmp_path: Path
) -> None:
    config = tiny_config.model_copy(update={"steps": 100, "validate_every": 20})
    result = _trainer(config, discs, tmp_path).fit()
    with (tmp_path / "curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in rows[0] if name.startswith("loss_")]
    first, last = (sum(float(row[name]) for name in names) for row in (rows[0], rows[-1]))
    assert last < 0.6 * first
    assert result.best_score > 0.25
    assert float(rows[-1]["ap50"]) > float(rows[-1]["ap"]) > 0.1
    assert result.best.exists()


def test_a_run_that_was_stopped_continues_as_if_it_had_not(
    tiny_config: TrainConfig, discs: list[AnnotatedImage], tmp_path: Path
) -> None:
    whole = _trainer(tiny_config, discs, tmp_path / "whole")
    whole.fit()
    # The fifth check comes after step 4 with its checkpoint, some checks belong to validation.
    stopped = _trainer(tiny_config, discs, tmp_path / "stopped", StopAfter(7))
    with pytest.raises(Cancelled):
        stopped.fit()
    assert 0 < stopped.progress.step < tiny_config.steps
    torch.manual_seed(99)
    continued = _trainer(tiny_config, discs, tmp_path / "stopped")
    assert continued.resume()
    continued.fit()
    assert continued.progress.step == tiny_config.steps
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(continued.network.state_dict()[name], value, rtol=0, atol=0)
    for name, value in whole.average.network.state_dict().items():
        torch.testing.assert_close(
            continued.average.network.state_dict()[name], value, rtol=0, atol=0
        )


def test_a_damaged_checkpoint_is_one_sentence(
    tiny_config: TrainConfig, discs: list[AnnotatedImage], tmp_path: Path
) -> None:
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"last\.pt cannot be resumed"):
        _trainer(tiny_config, discs, tmp_path).resume()


def test_training_stops_when_validation_does_not_improve(
    tiny_config: TrainConfig, discs: list[AnnotatedImage], tmp_path: Path
) -> None:
    config = tiny_config.model_copy(
        update={"steps": 50, "validate_every": 1, "patience": 2, "learning_rate": 1e-9}
    )
    result = _trainer(config, discs, tmp_path).fit()
    assert result.stopped_early
    assert result.steps < 50


def test_no_images_is_one_sentence(tiny_config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no annotated image"):
        Trainer(tiny_config, [], [], tmp_path, Monitor())
