"""`train`: a few steps on a handful of pictures, resumed, and a model that `segment` can use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tiny_training import CONFIG, write_squares

from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.project import create_project
from napari_sartorius.io.project.model_run import edit_of_run
from napari_sartorius.training.finetune_schedule import SCHEDULES, Schedule
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


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_images_only(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCHEDULES, "quick", Schedule(2, 1e-4, 2, 4, 0.9))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    others = json.loads(data.read_text())
    others["annotations"] = others["annotations"][1:]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(others))
    model = tmp_path / "Lauf für 1" / "model"
    for out, name, options in (
        (tmp_path / "Lauf für 1", "Lauf-fur-1", ("--config", config)),
        (tmp_path / "noch größer", "noch-grosser", ("--init", model, "--effort", "quick")),
    ):
        begun = run("train", "--data", data, "--out", out, *options)
        assert begun.exit_code == 0, begun.output
        assert ModelBundle.open(out / "model").card.name == name
        done = run("train", "--data", other, "--out", out, *options, "--resume")
        assert done.exit_code == 1
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        assert line == (
            f"Error: {out} holds a run that began with other images in --data (4 images with 30 "
            "objects; now 4 images with 29 objects); give the same images to go on with it, or "
            "choose another folder"
        )
        again = run("train", "--data", data, "--out", out, *options, "--resume")
        assert again.exit_code == 0, again.output


def test_data_that_were_refused_do_not_bind_the_folder(
    run: Run, data: Path, tmp_path: Path
) -> None:
    config, out = tmp_path / "config.json", tmp_path / "run"
    config.write_text(json.dumps(CONFIG | {"crop": 64, "initial_weights": "no-such-model"}))
    done = run("train", "--data", data, "--out", out, "--config", config)
    assert "no-such-model" in done.stderr
    other = tmp_path / "other.json"
    content = json.loads(data.read_text())
    content["annotations"] = content["annotations"][1:]
    other.write_text(json.dumps(content))
    again = run("train", "--data", other, "--out", out, "--config", config)
    assert "no-such-model" in again.stderr


def test_fine_tuning_needs_a_model(run: Run, data: Path, tmp_path: Path) -> None:
    done = run("train", "--data", data, "--out", tmp_path / "run", "--effort", "quick")
    assert done.exit_code == 1
    assert "name it with --init" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_fine_tuning_on_a_project(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    assert run("train", "--data", data, "--out", tmp_path / "a", "--config", config).exit_code == 0
    project = create_project(tmp_path / "work", ["square"])
    dataset = read_coco(data)
    project.add_files([dataset.image_path(image) for image in dataset.images[:2]])
    for image, source in zip(project.images, dataset.images, strict=False):
        found = dataset.instances[source.id]
        edit = edit_of_run(project.plane(image.id), image.id, found, ["square"])
        assert edit is not None
        project.record(edit)
    project.set_status(1, "done")
    project.close()
    monkeypatch.setitem(SCHEDULES, "quick", Schedule(2, 1e-4, 2, 4, 0.9))
    model, out = tmp_path / "a" / "model", tmp_path / "b"
    done = run(
        *("train", "--data", project.folder, "--init", model, "--effort", "quick", "--out", out)
    )
    assert done.exit_code == 0, done.output
    assert "1 image: a quarter of each is kept apart" in done.stderr
    assert "before" in done.stdout
    assert "1 corrected image." in ModelBundle.open(out / "model").card.description
