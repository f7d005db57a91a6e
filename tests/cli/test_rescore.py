"""`rescore`: a copy of a model gets a second level, which `segment` then uses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from generated_dataset import write_generated

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
def test_fit_show_segment(run: Run, models: Path, tmp_path: Path) -> None:
    data = write_generated(tmp_path, 4)
    fit = ("rescore", "fit", "--model", "neurons", "--data", data, "--preset", "fast", "--folds", 2)
    fitted = run(*fit, "--device", "cpu", "--name", "judging", "--min-iou", 0)
    assert fitted.exit_code == 0, fitted.output
    assert "mean absolute error" in fitted.stdout and "*score" in fitted.stdout
    assert (models / "judging" / "rescorer.cbm").is_file()

    shown = run("rescore", "show", "judging")
    assert shown.exit_code == 0, shown.output
    assert "Taught for neurons" in shown.stdout and "4 images" in shown.stdout
    known = json.loads(run("rescore", "show", "judging", "--json").stdout)
    assert known["config"]["folds"] == 2 and len(known["features"]) > 50

    out = tmp_path / "out"
    found = run(
        *("segment", tmp_path / "1.png", "-o", out, "--model", "judging", "--device", "cpu"),
        *("--preset", "fast", "--rescore", "on", "--format", "csv"),
    )
    assert found.exit_code == 0, found.output
    (table,) = out.rglob("*.csv")
    assert "predicted_iou" in table.read_text().splitlines()[0]


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
    result = run(
        *("rescore", "fit", "--model", "neurons", "--data", data, "--preset", "fast"),
        *("--device", "cpu", *options),
    )
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert not models.exists() or not list(models.iterdir())


def test_models_without_one(run: Run, models: Path) -> None:
    result = run("rescore", "show", "nuclei")
    assert result.exit_code == 1 and "rescore fit" in result.stderr
    wrong = run("segment", "a.png", "-o", "out", "--rescore", "maybe")
    assert wrong.exit_code == 1 and "auto, on or off" in wrong.stderr
