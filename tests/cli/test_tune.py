"""`tune`: a copy of a model gets the thresholds that suit annotated images."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from generated_dataset import write_generated
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("SARTORIUS_MODELS", str(folder))
    return folder


@pytest.mark.slow
def test_tuned_copy_of_a_real_model(run: Run, models: Path, tmp_path: Path) -> None:
    data = write_generated(tmp_path, 2)
    command = (
        *("tune", "--model", "neurons", "--data", data, "--preset", "fast", "--folds", 2),
        *("--trials", 10, "--device", "cpu", "--cache", tmp_path / "cache"),
        "--even-if-worse",
    )
    tuned = run(*command, "--name", "tuned", "--json")
    assert tuned.exit_code == 0, tuned.output
    figures = json.loads(tuned.stdout)
    assert figures["tuned"]["cort"] >= figures["before"]["cort"] and figures["looks"] == 2
    card = find_bundle("tuned").card
    assert card.thresholds["cort"].score == figures["new"]["cort"]["score"]
    assert card.metrics["tuning_score_before"] == figures["before"]["all"]
    # Once more, in place: networks need not look again.
    again = run("tune", "--model", "tuned", *command[3:])
    assert again.exit_code == 0, again.output
    assert "0 looks of" in again.stdout and "competition mAP" in again.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "ships with napari-sartorius"),
        (("--name", "neurons"), "called neurons already"),
        (("--name", "n", "--split", "test"), "choose from val"),
        (("--name", "n", "--folds", "9"), "cannot be parted"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run, models: Path, tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    data = write_generated(tmp_path, 1)
    result = run("tune", "--model", "neurons", "--data", data, "--device", "cpu", *options)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert not models.exists() or not list(models.iterdir())


def test_without_optuna(
    run: Run, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    data = write_generated(tmp_path, 1)
    result = run("tune", "--model", "neurons", "--data", data, "--name", "n")
    assert result.exit_code == 1 and "napari-sartorius[all]" in result.stderr
