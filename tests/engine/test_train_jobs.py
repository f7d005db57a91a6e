"""A training belongs to its folder: it outlives the window, and goes on as if nothing had been."""

from __future__ import annotations

import csv
import json
import pickle
import subprocess
import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from annotated_discs import SIDE, dataset_of_masks, discs
from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.engine.client import WorkerClient
from napari_sartorius.engine.context import WorkerContext
from napari_sartorius.engine.handle import JobState
from napari_sartorius.engine.plan_jobs import PlanJob, PreviewJob, TimeStepJob
from napari_sartorius.engine.train_jobs import FineTuneJob, continued
from napari_sartorius.engine.trained_model import result_of
from napari_sartorius.io.coco import read_coco, write_coco
from napari_sartorius.training.recipe_file import RecipeFile, read_recipe_file
from napari_sartorius.training.recipes.reading import recipe_file
from napari_sartorius.training.run_files import BEST_FILE, CURVE_FILE, LAST_FILE, STATE_FILE
from napari_sartorius.training.run_state import RunState, live_runs, read_state, unfinished_runs
from napari_sartorius.training.step_times import known_seconds, step_key
from napari_sartorius.zoo import ModelCard, find_bundle
from tiny_models import save_tiny_bundle

RECIPE = {
    "crop": 64,
    "batch_size": 1,
    "steps": 12,
    "learning_rate": 2e-3,
    "warmup_steps": 2,
    "ema": 0.5,
    "validate_every": 4,
    "checkpoint_every": 4,
    "precision": "float32",
    "threads": 1,
    "replay": None,
}

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sartorius.zoo.learnt_from import LearntFrom


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FineTuneJob:
    """A training of seconds on eight small images."""
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))
    save_tiny_bundle(tmp_path / "models" / "tiny")
    (tmp_path / "data").mkdir()
    dataset = dataset_of_masks(tmp_path / "data", [discs()] * 8)
    for image in dataset.images:  # discs that can be seen
        pixels = np.array(Image.open(tmp_path / "data" / image.file_name)) // 8 + 100
        for mask in dataset.instances[image.id].masks.to_labels()[None]:
            pixels[mask > 0] += 90
        Image.fromarray(pixels).save(tmp_path / "data" / image.file_name)
    dataset.categories[0] = Category(1, "big")
    write_coco(tmp_path / "data" / "annotations.json", dataset)
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE))
    return FineTuneJob(
        tmp_path / "data",
        tmp_path / "runs" / "one",
        "tiny",
        "ours",
        recipe=tmp_path / "recipe.json",
        device="cpu",
    )


def _curve(folder: Path) -> list[dict[str, str]]:
    with (folder / CURVE_FILE).open() as stream:
        return [
            {k: v for k, v in row.items() if k != "seconds_per_step"}
            for row in csv.DictReader(stream)
        ]


def _learnt(model: str) -> LearntFrom:
    card = find_bundle(model).card
    assert isinstance(card, ModelCard)
    assert card.learnt_from is not None
    return card.learnt_from


def _wait(condition: Callable[[], Any], seconds: float = 400) -> None:
    """Wait; only a hang takes that long, since the worker gives way to everybody else."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def _viewer(job: FineTuneJob) -> subprocess.Popen[bytes]:
    """A process that runs a job in a worker, as napari does."""
    program = (
        "import sys, pickle; sys.path[:] = pickle.loads(bytes.fromhex(sys.argv[1]));"
        "from napari_sartorius.engine.client import WorkerClient;"
        "WorkerClient().submit(pickle.loads(bytes.fromhex(sys.argv[2]))).outcome()"
    )
    arguments = [pickle.dumps(one).hex() for one in (sys.path, job)]
    return subprocess.Popen([sys.executable, "-c", program, *arguments])


def _killed(job: FineTuneJob, validations: int) -> RunState:
    """Kill the viewer after so many validations; what the folder says then."""
    viewer = _viewer(job)
    try:
        _wait(lambda: (job.folder / LAST_FILE).exists() and len(_curve(job.folder)) >= validations)
        state = read_state(job.folder)
        assert state is not None
        assert state.is_worked_on()
        assert unfinished_runs([job.folder.parent]) == []
        assert [f for f, _ in live_runs([job.folder.parent])] == [job.folder]
        return state
    finally:
        viewer.kill()
        viewer.wait()


def test_a_run_outlives_a_viewer_that_was_killed(job: FineTuneJob) -> None:
    state = _killed(job, 1)
    worker = psutil.Process(state.pid)
    _wait(lambda: read_state(job.folder).state == "finished")  # type: ignore[union-attr]
    worker.wait(60)
    told = read_state(job.folder)
    assert told is not None
    result = result_of(told)
    assert result is not None
    assert result.name == "ours"
    assert find_bundle("ours").card.metrics["validation"] == pytest.approx(result.after, abs=1e-4)
    assert len(_curve(job.folder)) == 4


def test_killed_with_its_viewer_and_continued_equals_never_killed(
    job: FineTuneJob, tmp_path: Path
) -> None:
    state = _killed(job, 2)
    worker = psutil.Process(state.pid)
    worker.kill()
    worker.wait(60)
    ((folder, state),) = unfinished_runs([job.folder.parent])
    assert folder == job.folder
    # What became of the data meanwhile does not matter: the run has its own annotations.
    (tmp_path / "data" / "annotations.json").unlink()
    (tmp_path / "recipe.json").unlink()
    again = continued(folder, state)
    assert again == job
    ended = again.run(WorkerContext())
    told = read_state(folder)
    assert told is not None
    assert told.state == "finished"
    assert (told.step, told.steps) == (12, 12)
    assert told.result == json.loads(json.dumps(asdict(ended)))
    assert unfinished_runs([job.folder.parent]) == []
    assert _learnt("ours").recipe_name == "recipe.json"  # which is gone

    for path in (folder / "data").iterdir():
        copy = tmp_path / "runs" / "two" / "data" / path.name
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE))
    other = replace(job, folder=tmp_path / "runs" / "two", name="other")
    whole = other.run(WorkerContext())
    assert _curve(other.folder) == _curve(folder)
    assert whole.categories == ended.categories
    first, second = (torch.load(f / BEST_FILE, weights_only=True) for f in (folder, other.folder))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_run_leaves_pictures_figures_and_times(job: FineTuneJob, tmp_path: Path) -> None:
    result = job.run(WorkerContext())
    assert result.name == "ours"
    assert find_bundle("ours").card.parent == "tiny"
    assert (_learnt("ours").recipe, _learnt("ours").recipe_name) == ("own", "recipe.json")
    (score,) = result.categories
    assert (score.name, score.before) == ("big", result.before)
    assert score.after == result.after
    assert result.best_step % 4 == 0
    pictures = sorted(path.name for path in (job.folder / "pictures").iterdir())
    assert len(pictures) % 3 == 0
    assert pictures[:3] == [
        f"01-{pictures[0].split('-')[1]}-{n}.png" for n in ("before", "best", "now")
    ]
    frozen = read_coco(job.folder / "data" / "annotations.json")
    assert frozen.object_count == 48
    assert all(frozen.image_path(image).is_file() for image in frozen.images)
    _, _, config = job.prepared(frozen, job.asked())
    assert known_seconds(step_key(config, "cpu")) == pytest.approx(0.5, abs=0.5)


def test_cancelled_keeps_what_it_needs_to_go_on(job: FineTuneJob) -> None:
    class Impatient(Monitor):
        def check(self) -> None:
            if (job.folder / LAST_FILE).exists():
                raise Cancelled

    with pytest.raises(Cancelled):
        job.run(WorkerContext(Impatient()))
    ((folder, state),) = unfinished_runs([job.folder.parent])
    assert (folder, state.state, state.steps) == (job.folder, "cancelled", 12)
    with pytest.raises(UserError, match="tiny already"):
        replace(job, name="tiny").run(WorkerContext())
    state.job["data"] = None
    with pytest.raises(UserError, match="another program"):
        continued(folder, state)


def test_what_is_asked_before_a_run(job: FineTuneJob) -> None:
    planned = PlanJob(job).run(WorkerContext())
    (row,) = planned.plan.rows
    assert (row.name, row.train_cells, row.validation_cells) == ("big", 36, 12)
    assert (planned.plan.steps, planned.device, planned.seconds_per_step) == (12, "cpu", None)
    seconds = TimeStepJob(job).run(WorkerContext())
    assert 0.001 < seconds < 5
    assert PlanJob(job).run(WorkerContext()).seconds_per_step == pytest.approx(seconds, abs=1e-3)
    assert not job.folder.exists()  # nothing has begun


def test_a_run_believes_the_step_that_was_timed_for_its_plan(
    job: FineTuneJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        pass

    def begin(*args: Any, step_seconds: float | None, **settings: Any) -> None:
        given.append(step_seconds)
        raise Begun

    given: list[float | None] = []
    monkeypatch.setattr("napari_sartorius.training.finetune.finetune", begin)
    with pytest.raises(Begun):
        job.run(WorkerContext())
    seconds = TimeStepJob(job).run(WorkerContext())
    with pytest.raises(Begun):
        job.run(WorkerContext())
    assert given == [None, pytest.approx(seconds, abs=1e-3)]


def test_a_recipe_of_a_fine_tuning_brings_its_effort_and_its_time(
    job: FineTuneJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        pass

    def begin(*args: Any, **settings: Any) -> None:
        given.append(settings)
        raise Begun

    given: list[dict[str, Any]] = []
    monkeypatch.setattr("napari_sartorius.training.finetune.finetune", begin)
    thorough = replace(job, recipe=recipe_file("finetune-thorough"))
    planned = PlanJob(thorough).run(WorkerContext())
    assert (planned.plan.steps, planned.budget) == (1500, 3600)
    for _ in range(2):  # the second goes on
        with pytest.raises(Begun):
            thorough.run(WorkerContext())
        settings = given.pop()
        assert (settings["effort"], settings["budget"]) == ("thorough", 3600)
        assert (settings["config"].steps, settings["recipe_name"]) == (1500, "finetune-thorough")
    usual = replace(job, recipe=None, folder=job.folder.parent / "two")
    with pytest.raises(Begun):
        usual.run(WorkerContext())
    assert (given[0]["effort"], given[0]["budget"], given[0]["recipe_name"]) == ("quick", 900, "")


def test_a_plan_reads_the_recipe_once(job: FineTuneJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(path: Path, copy: Path | None = None) -> RecipeFile:
        read.append(path)
        return read_recipe_file(path, copy)

    read: list[Path] = []
    monkeypatch.setattr("napari_sartorius.training.recipe_file.read_recipe_file", counted)
    PlanJob(job).run(WorkerContext())
    assert read == [job.recipe]


def test_a_longer_fine_tuning_of_a_file_is_planned_longer(job: FineTuneJob) -> None:
    path = job.data / "mine.yaml"
    path.write_text("stages: [{name: a, kind: finetune, effort: quick, scale: 2}]")
    planned = PlanJob(replace(job, recipe=path)).run(WorkerContext())
    assert (planned.plan.steps, planned.budget) == (600, 1800)


def test_what_of_a_recipe_is_left_out_is_told_in_the_plan_and_by_the_run(
    job: FineTuneJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Listener(Monitor):
        def notice(self, message: str) -> None:
            heard.append(message)

    def end(*args: Any, **settings: Any) -> None:
        raise Cancelled

    heard: list[str] = []
    seed = replace(job, recipe=recipe_file("seed-2"))
    planned = PlanJob(seed).run(WorkerContext())
    assert (planned.plan.steps, planned.budget) == (600, None)  # 100 epochs of six images
    assert "input_size have no effect here, where tiny is trained" in planned.plan.notes[0]
    monkeypatch.setattr("napari_sartorius.training.finetune.finetune", end)
    with pytest.raises(Cancelled):
        seed.run(WorkerContext(Listener()))
    assert heard == list(planned.plan.notes[:2])
    with pytest.raises(UserError, match=r"several stages.*train --recipe \S*seed-0.yaml"):
        PlanJob(replace(seed, recipe=recipe_file("seed-0"), folder=job.data / "new")).run(
            WorkerContext()
        )


def test_a_recipe_that_tells_categories_by_a_field_does_so_in_the_window(
    job: FineTuneJob, tmp_path: Path
) -> None:
    path = job.data / "annotations.json"
    dataset = read_coco(path)
    for number, image in enumerate(dataset.images):
        image.extra["line"] = "big" if number % 2 else "small"
    write_coco(path, dataset)
    (tmp_path / "lines.yaml").write_text(
        "stages: [{name: a, kind: train, categories_from: line, settings: {steps: 3}}]"
    )
    lines = replace(job, recipe=tmp_path / "lines.yaml")
    rows = PlanJob(lines).run(WorkerContext()).plan.rows
    assert [row.name for row in rows] == ["big", "small"]


def test_the_preview_shows_what_the_network_sees(job: FineTuneJob) -> None:
    pictures = PreviewJob(job, count=3, seed=1).run(WorkerContext())
    assert [picture.shape for picture in pictures] == [(640, 640, 3)] * 3
    others = PreviewJob(job, count=3, seed=2).run(WorkerContext())
    assert not np.array_equal(pictures[0], others[0])
    assert (job.folder / STATE_FILE).exists() is False
    assert RECIPE["crop"] == SIDE


def test_a_plan_says_what_becomes_of_the_models_categories(job: FineTuneJob) -> None:
    def notes(one: FineTuneJob) -> str:
        return " ".join(PlanJob(one).run(WorkerContext()).plan.notes)

    assert "new to tiny" not in notes(job)
    path = job.data / "annotations.json"
    dataset = read_coco(path)
    dataset.categories[0] = Category(1, "disc")
    write_coco(path, dataset)
    usual = replace(job, recipe=None)
    assert notes(usual).startswith("disc is new to tiny, which goes on finding big, small as well.")
    names = usual.prepared(usual.dataset(), None)[1].category_names
    assert names == ["big", "small", "disc"]
    assert not PlanJob(usual).run(WorkerContext()).plan.warnings
    dataset.categories[0] = Category(1, "Big")
    write_coco(path, dataset)
    assert PlanJob(usual).run(WorkerContext()).plan.warnings[0] == (
        "big and Big are learnt as different kinds: where they are one, give their cells one name."
    )
    dataset.categories[0] = Category(1, "disc")
    write_coco(path, dataset)
    # the recipe says that nothing is to be kept
    assert notes(job).startswith("disc is new to tiny, which will find nothing else.")
    _, dataset, config = job.prepared(job.dataset(), job.asked())
    assert dataset.category_names == ["disc"]
    assert config.architecture.num_classes == 1


def test_a_training_that_was_killed_says_where_to_go_on(job: FineTuneJob) -> None:
    client = WorkerClient()
    try:
        handle = client.submit(job)
        _wait(lambda: (job.folder / LAST_FILE).exists())
        state = read_state(job.folder)
        assert state is not None
        psutil.Process(state.pid).kill()
        assert handle.wait(60) is JobState.CRASHED
        assert "continue the run under “Train another”" in (handle.error or "")
        assert "tile" not in (handle.error or "")
    finally:
        client.close()
