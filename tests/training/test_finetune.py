"""A model learns from a few corrected images, and is never handed out worse than it was."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor
from napari_sartorius.engine.context import WorkerContext
from napari_sartorius.engine.train_jobs import FineTuneJob
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.io.coco import CocoDataset, CocoImage
from napari_sartorius.io.project import create_project
from napari_sartorius.io.project.model_run import edit_of_run
from napari_sartorius.training.config import ReplayConfig
from napari_sartorius.training.data import pack_dataset
from napari_sartorius.training.finetune import (
    FineTuned,
    finetune,
    finetune_config,
)
from napari_sartorius.training.keep_apart import keep_apart
from napari_sartorius.training.run_files import STOP_FILE
from napari_sartorius.training.terms import in_terms_of
from napari_sartorius.zoo import ModelBundle, find_bundle
from tiny_models import save_tiny_bundle

from .conftest import disc_image

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage

KINDS = [Category(1, "big", "#e69f00"), Category(2, "small", "#56b4e9")]


def _dataset(folder: Path, count: int) -> CocoDataset:
    images, instances = [], {}
    for i in range(count):
        pixels, masks, categories = disc_image(i)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        images.append(CocoImage(i + 1, f"{i}.png", 96, 96))
        instances[i + 1] = Instances.from_masks(masks, categories=categories)
    return CocoDataset(images, list(KINDS), instances, {}, folder)


@pytest.fixture
def start(tmp_path: Path, tiny_config: TrainConfig) -> ModelBundle:
    return save_tiny_bundle(tmp_path / "start", architecture=tiny_config.architecture)


def _quick(config: TrainConfig, **changes: Any) -> TrainConfig:
    return config.model_copy(
        update={
            "steps": 120,
            "validate_every": 40,
            "validate_first": True,
            "train_split": None,
            "balance": "image",
        }
        | changes
    )


def test_a_strip_of_each_image_is_kept_apart(discs: list[AnnotatedImage]) -> None:
    training, validation = keep_apart(discs)
    for whole, one, other in zip(discs, training, validation, strict=True):
        assert one.pixels.shape == (96, 72, 1)
        np.testing.assert_array_equal(
            np.concatenate([one.pixels, other.pixels], axis=1), whole.pixels
        )
        assert one.masks.area().sum() + other.masks.area().sum() == whole.masks.area().sum()
        assert len(one.categories) == len(one.masks)
        for i, category in enumerate(other.categories):
            y, x = np.argwhere(other.masks.full(i))[0]
            (owner,) = [n for n in range(len(whole.masks)) if whole.masks.full(n)[y, x + 72]]
            assert whole.categories[owner] == category


def test_two_images_make_a_model_better(
    tmp_path: Path, start: ModelBundle, tiny_config: TrainConfig
) -> None:
    # The start is random: there is nothing to remember, and its statistics are no good.
    replay = ReplayConfig(generated=0, pull=0.1, blends=(0.5,))
    result = finetune(
        start,
        _dataset(tmp_path, 2),
        tmp_path / "run",
        name="better",
        config=_quick(tiny_config, replay=replay),
    )
    assert result.before is not None
    assert result.before < 0.05
    assert result.after > result.before + 0.1
    assert result.improved
    card = result.bundle.card
    assert card.name == "better"
    assert card.parent == "tiny"
    assert card.metrics["validation"] == pytest.approx(result.after, abs=1e-4)
    assert card.metrics["validation before"] == pytest.approx(result.before, abs=1e-4)
    assert card.thresholds_of("big").mask == start.card.thresholds_of("big").mask
    assert 9 < card.cell_diameter < 18
    learnt = card.learnt_from
    assert learnt is not None
    assert learnt.parent_sha256 == start.card.sha256
    assert [image.name for image in learnt.images] == ["0.png", "1.png"]
    file = hashlib.sha256((tmp_path / "1.png").read_bytes()).hexdigest()
    assert learnt.images[1].sha256 == file
    assert (learnt.cells, learnt.corrected_cells, learnt.recipe) == (14, None, "own")
    assert learnt.before["validation"] < learnt.after["validation"]
    assert learnt.kept is not None
    assert learnt.kept.new_weight in (0.5, 1.0)
    assert not learnt.kept.frozen_normalisation
    # What is on the disk says the same, and has these weights.
    assert ModelBundle.open(tmp_path / "run" / "model").card == card
    result.bundle.load_network()


def test_a_budget_makes_the_steps_fit_and_a_resumed_run_keeps_them(
    tmp_path: Path, start: ModelBundle, tiny_config: TrainConfig
) -> None:
    ticks = itertools.count()
    folder = tmp_path / "run"
    config = _quick(tiny_config, steps=1000, validate_every=500)

    def again() -> FineTuned:
        # Every look at the clock is a second: a step takes 1, and so does a validation.
        return finetune(
            start,
            _dataset(tmp_path, 2),
            folder,
            config=config,
            budget=60,
            clock=lambda: float(next(ticks)),
        )

    steps = again().steps
    assert 40 <= steps < 60
    assert again().steps == steps  # from plan.json, although the clock has moved on
    learnt = ModelBundle.open(folder / "model").card.learnt_from
    assert learnt is not None
    assert learnt.recipe == "quick"


def test_categories_that_do_not_occur_are_left_out(
    tmp_path: Path, start: ModelBundle, tiny_config: TrainConfig
) -> None:
    dataset = _dataset(tmp_path, 2)
    dataset.categories.insert(0, Category(9, "rare"))
    for one in dataset.instances.values():
        one.categories[:] += 1
    config = _quick(tiny_config, steps=1, validate_every=1)
    card = finetune(start, dataset, tmp_path / "run", config=config).bundle.card
    assert card.category_names == ["big", "small"]


def test_a_new_kind_is_learnt_beside_those_that_the_model_knows(
    tmp_path: Path, start: ModelBundle, tiny_config: TrainConfig
) -> None:
    dataset = _dataset(tmp_path, 2)
    dataset.categories[0] = Category(7, "disc", "#112233")
    heard: list[str] = []

    class Listener(Monitor):
        def notice(self, message: str) -> None:
            heard.append(message)

    learnt = tiny_config.architecture.model_copy(update={"num_classes": 3})
    config = _quick(tiny_config, architecture=learnt, replay=ReplayConfig(generated=0))
    result = finetune(start, dataset, tmp_path / "run", config=config, monitor=Listener())
    assert any(line.startswith("disc is new to the model") for line in heard)
    card = result.bundle.card
    assert card.category_names == ["big", "small", "disc"]
    assert card.categories[:2] == start.card.categories
    assert card.categories[2].colour == "#112233"
    assert not card.one_category_per_image
    assert result.after > 0.1
    found = Segmenter(result.bundle, SegmentConfig(device="cpu", min_score=0.1)).segment(
        np.asarray(Image.open(tmp_path / "0.png"))
    )
    assert 2 in found.instances.categories
    # a configuration that shall not keep what the model knew has the new kinds only
    forget = _quick(tiny_config, steps=1, validate_every=1, replay=None)
    alone = finetune(start, dataset, tmp_path / "alone", config=forget).bundle.card
    assert alone.category_names == ["disc", "small"]


def test_what_is_no_better_is_the_start_itself(
    tmp_path: Path, start: ModelBundle, tiny_config: TrainConfig
) -> None:
    config = _quick(tiny_config, learning_rate=1e-12, steps=4, validate_every=2, ema=0.0)
    result = finetune(start, _dataset(tmp_path, 2), tmp_path / "run", config=config)
    assert not result.improved
    before, after = start.load_network().state_dict(), result.bundle.load_network().state_dict()
    for name, value in before.items():
        if value.dtype.is_floating_point and "running" not in name:
            np.testing.assert_allclose(after[name], value, atol=1e-3)


def test_the_schedule_keeps_the_models_network(start: ModelBundle) -> None:
    same = finetune_config(start.card, ["big", "small"], "quick")
    assert same.architecture == start.card.architecture
    assert same.validate_first
    other = finetune_config(start.card, ["a", "b", "c"], "thorough")
    assert other.architecture.num_classes == 3
    assert not other.validate_first
    assert other.steps > same.steps


def test_a_model_keeps_its_categories_where_it_has_those_that_occur(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, 1)
    dataset.categories = [Category(1, "cell"), Category(2, "small"), Category(3, "big")]
    dataset.instances[1].categories[:] = [1, 2, 1, 1, 2, 2, 1]
    same = in_terms_of(dataset, ["big", "small", "other"])
    assert same.category_names == ["big", "small", "other"]
    assert same.instances[1].categories.tolist() == [1, 0, 1, 1, 0, 0, 1]
    assert same.categories[1] == dataset.categories[1]
    more = in_terms_of(dataset, ["old", "big"])
    assert more.category_names == ["old", "big", "small"]
    assert more.instances[1].categories.tolist() == [2, 1, 2, 2, 1, 1, 2]
    other = in_terms_of(dataset, ["big"], keep=False)
    assert other.category_names == ["small", "big"]
    assert other.instances[1].categories.tolist() == [0, 1, 0, 0, 1, 1, 0]
    assert dataset.instances[1].categories.tolist() == [1, 2, 1, 1, 2, 2, 1]


def test_one_kind_of_cell_is_measured_before_whatever_it_is_called(start: ModelBundle) -> None:
    single = start.card.with_changes(
        categories=start.card.categories[:1],
        thresholds={},
        architecture=start.card.architecture_tree | {"num_classes": 1},
    )
    assert finetune_config(single, ["cell"], "quick").validate_first


def test_nothing_to_learn_from_is_one_sentence(tmp_path: Path, start: ModelBundle) -> None:
    empty = CocoDataset([], list(KINDS), {}, {}, tmp_path)
    with pytest.raises(UserError, match="mark images as done"):
        finetune(start, empty, tmp_path / "run")


def test_planes_of_a_stack_are_their_own_images(tmp_path: Path, tiny_config: TrainConfig) -> None:
    stack = np.stack([disc_image(0)[0], disc_image(1)[0]])
    tifffile.imwrite(tmp_path / "s.tif", stack, metadata={"axes": "ZYX"})
    images = [
        CocoImage(n + 1, "s.tif", 96, 96, {"plane": [n], "plane_axes": "Z"}) for n in range(2)
    ]
    found = {n + 1: Instances.empty((96, 96)) for n in range(2)}
    packed = pack_dataset(
        CocoDataset(images, list(KINDS), found, {}, tmp_path), tiny_config, Monitor()
    )
    single = [_dataset_pixels(tmp_path, n, tiny_config) for n in range(2)]
    for one, other in zip(packed, single, strict=True):
        np.testing.assert_array_equal(one.pixels, other)


def _dataset_pixels(folder: Path, n: int, config: TrainConfig) -> Any:
    return pack_dataset(_dataset(folder, 2), config, Monitor())[n].pixels


@pytest.fixture
def project_folder(tmp_path: Path) -> Path:
    """A project with three images, two of them done."""
    dataset = _dataset(tmp_path, 3)
    project = create_project(tmp_path / "work", list(KINDS))
    project.add_files([tmp_path / f"{n}.png" for n in range(3)])
    for image in project.images:
        found = dataset.instances[image.id]
        edit = edit_of_run(project.plane(image.id), image.id, found, ["big", "small"])
        assert edit is not None
        project.record(edit)
    project.set_status(1, "done")
    project.set_status(2, "done")
    project.close()
    return project.folder


def test_the_job_adds_the_better_model_to_the_list(
    project_folder: Path,
    tmp_path: Path,
    start: ModelBundle,
    tiny_config: TrainConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    shutil.copytree(start.path, tmp_path / "models" / "tiny")
    monkeypatch.setattr(
        "napari_sartorius.training.finetune.finetune_config",
        lambda *_: _quick(tiny_config),
    )
    run = project_folder / "runs" / "one"
    job = FineTuneJob(project_folder, run, "tiny", "ours", device="cpu")
    result = job.run(WorkerContext())
    assert result.name == "ours"
    assert result.before is not None
    assert result.after > result.before
    card = find_bundle("ours").card
    assert "2 corrected images" in card.training_data
    with pytest.raises(UserError, match="ours already"):
        job.run(WorkerContext())


def test_a_stop_file_ends_the_run_with_the_best_so_far(
    tmp_path: Path, start: ModelBundle, tiny_config: TrainConfig
) -> None:
    folder = tmp_path / "run"

    class Stopper(Monitor):
        def progress(self, stage: str, fraction: float) -> None:
            if stage.startswith("training, step 3 "):
                (folder / STOP_FILE).touch()

    result = finetune(
        start,
        _dataset(tmp_path, 2),
        folder,
        config=_quick(tiny_config),
        monitor=Stopper(),
    )
    assert 3 <= result.steps <= 4
    assert result.stopped_early
    result.bundle.load_network()
