"""`train`: a few steps on a handful of pictures, resumed, and a model that `segment` can use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tiny_training import CONFIG, write_squares

from napari_sartorius.zoo import ModelBundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four annotated pictures, two of them for validation."""
    return write_squares(tmp_path)


@pytest.mark.slow
def test_train_resume_and_start_from_a_model(run: Run, data: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    out = tmp_path / "run"
    first = run("train", "--data", data, "--out", out, "--config", config)
    assert first.exit_code == 0, first.output
    assert str(out / "model") in first.stdout
    bundle = ModelBundle.open(out / "model")
    assert bundle.card.category_names == ["square"]
    assert (out / "curve.csv").is_file()

    again = run("train", "--data", data, "--out", out, "--config", config)
    assert again.exit_code == 1
    assert "already holds a run" in again.stderr
    # Without --config a resumed run goes on with the configuration that it began with.
    resumed = run("train", "--data", data, "--out", out, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "resumed at step 2 of 2" in resumed.stderr

    started = run(
        "train",
        "--data",
        data,
        "--out",
        tmp_path / "b",
        "--config",
        config,
        "--init",
        out / "model",
    )
    assert started.exit_code == 0, started.output
    assert ModelBundle.open(tmp_path / "b" / "model").card.parent == str(out / "model")

    picture = data.parent / "1.png"
    used = run(
        "segment", picture, "-o", tmp_path / "s", "--model", out / "model", "--device", "cpu"
    )
    assert used.exit_code == 0, used.output
    assert (tmp_path / "s" / "instances.json").is_file()
