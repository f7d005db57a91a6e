"""The plan: who learns, who measures, what speaks against it, how long it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from annotated_discs import SIDE, dataset_of_masks, disc, discs
from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.training import step_times
from napari_sartorius.training.data import pack_dataset, split_dataset
from napari_sartorius.training.keep_apart import keep_apart
from napari_sartorius.training.plan import make_plan
from napari_sartorius.training.recipe_file import with_recipe
from napari_sartorius.training.step_times import known_seconds, remember_seconds, step_key

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage


@pytest.fixture
def config(tiny_config: TrainConfig) -> TrainConfig:
    return tiny_config.model_copy(update={"train_split": None, "validate_first": True})


def _cells(images: list[AnnotatedImage], kind: int) -> tuple[int, int]:
    counts = [int((image.categories == kind).sum()) for image in images]
    return sum(count > 0 for count in counts), sum(counts)


def test_counts_are_those_of_the_training_itself(tmp_path: Path, config: TrainConfig) -> None:
    frames = [discs()[: n % 6 + 1] for n in range(11)]
    dataset = dataset_of_masks(tmp_path, frames, names=("round", "long"))
    plan = make_plan(dataset, config)
    parts = split_dataset(dataset, config, Monitor())
    train, validation = (pack_dataset(part, config, Monitor()) for part in parts)
    assert not plan.strips
    assert (plan.train_images, plan.validation_images) == (len(train), len(validation))
    assert [row.name for row in plan.rows] == ["round", "long"]
    for kind, row in enumerate(plan.rows):
        assert (row.train_images, row.train_cells) == _cells(train, kind)
        assert (row.validation_images, row.validation_cells) == _cells(validation, kind)
    assert plan.problem is None


def test_few_images_lend_a_quarter_each(tmp_path: Path, config: TrainConfig) -> None:
    dataset = dataset_of_masks(tmp_path, [discs(), discs()])
    plan = make_plan(dataset, config)
    train, validation = keep_apart(pack_dataset(dataset, config, Monitor()))
    assert plan.strips
    (row,) = plan.rows
    assert (row.train_images, row.train_cells) == _cells(train, 0)
    assert (row.validation_images, row.validation_cells) == _cells(validation, 0)
    assert plan.problem is None


def _giant(folder: Path) -> CocoDataset:
    return dataset_of_masks(folder, [[np.ones((SIDE, SIDE), bool)], discs()])


def _other_image(folder: Path) -> CocoDataset:
    dataset = dataset_of_masks(folder, [discs()] * 2)
    grey = np.random.default_rng(1).integers(0, 255, (40, 50)).astype(np.uint8)
    Image.fromarray(grey).save(folder / "1.png")
    return dataset


def _gone(folder: Path) -> CocoDataset:
    dataset = dataset_of_masks(folder, [discs()] * 2)
    (folder / "0.png").unlink()
    return dataset


def _one_name_twice(folder: Path) -> CocoDataset:
    dataset = dataset_of_masks(folder, [discs()] * 6, names=("round", "long"))
    return replace(dataset, categories=[Category(1, "round"), Category(2, "round")])


def _left_only(folder: Path) -> CocoDataset:
    return dataset_of_masks(folder, [[disc(20, 20, 8), disc(44, 14, 8)]])


def _nothing(folder: Path) -> CocoDataset:
    return dataset_of_masks(folder, [[], []])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_giant, "0.png: one object covers 100% of the image and is the only one there; use label"),
        (_other_image, "1.png: is 50 x 40 pixels, its record says 64 x 64; the annotations belong"),
        (_gone, "0.png does not exist; put the file where the annotations say."),
        (_one_name_twice, "2 categories are called 'round'; give each kind of cell a name of its"),
        (_left_only, "There is no cell in the quarter of each image that is kept apart"),
        (_nothing, "There is no annotated cell to learn from"),
    ],
)
def test_what_nothing_should_begin_with_is_one_sentence(
    tmp_path: Path, config: TrainConfig, make: Any, words: str
) -> None:
    problem = make_plan(make(tmp_path), config).problem
    assert problem is not None
    assert words in problem
    assert problem.count(". ") == 0
    assert problem.endswith(".")


def test_a_recipe_with_a_split_needs_images_on_both_sides(
    tmp_path: Path, tiny_config: TrainConfig
) -> None:
    dataset = dataset_of_masks(tmp_path, [discs()] * 6, [{"split": "train"}] * 6)
    plan = make_plan(dataset, tiny_config)
    assert plan.problem is None and (plan.train_images, plan.validation_images) == (4, 2)
    (told,) = plan.warnings
    assert told.startswith("No image is marked 'val': one in five of those marked 'train' measures")
    nobody = tiny_config.model_copy(update={"validation_split": None})
    problem = make_plan(dataset, nobody).problem
    assert problem is not None
    assert problem.startswith("There are no validation images, as the recipe names no validation_")
    dataset = dataset_of_masks(tmp_path, [discs()] * 6, [{"split": "test"}] * 6)
    problem = make_plan(dataset, tiny_config).problem
    assert problem is not None
    assert "no image of the dataset is marked split 'train'" in problem.lower()


@pytest.mark.parametrize("others", [{}, {"split": "test"}])
def test_marks_of_few_images_do_not_count(
    tmp_path: Path, tiny_config: TrainConfig, others: dict[str, str]
) -> None:
    marks = [{"split": "train"}, {"split": "train"}, {"split": "val"}, *[others] * 4]
    dataset = dataset_of_masks(tmp_path, [discs()] * 7, marks)
    plan = make_plan(dataset, tiny_config)
    assert plan.strips and plan.problem is None
    assert (plan.train_images, plan.validation_images) == (3, 3)
    (told,) = plan.warnings
    assert told.startswith("Only 3 annotated images, so whether they are marked 'train' or 'val'")
    # what the window keeps apart of up to seven images does not depend on marks either
    plan = make_plan(dataset, tiny_config, few_images=8)
    assert plan.strips and plan.problem is None and plan.warnings == ()


def test_a_category_that_is_kept_apart_as_a_whole_is_told(
    tmp_path: Path, tiny_config: TrainConfig, config: TrainConfig
) -> None:
    frames = [discs()] * 6
    marks = [{"split": "val" if n % 3 == 2 else "train"} for n in range(6)]
    dataset = dataset_of_masks(tmp_path, frames, marks, names=("round", "long", "rare"))
    (told,) = make_plan(dataset, tiny_config).warnings
    assert told.startswith("No cell that is trained on is rare, though others are, so nothing is")
    # with a split of its own every kind is trained on
    assert make_plan(dataset, config).warnings == ()
    # a strip can hold all cells of a kind as well
    edge = [disc(20, 57, 5)]
    strips = dataset_of_masks(tmp_path, [discs(), edge], names=("round", "long"))
    (told,) = make_plan(strips, config).warnings
    assert "is long, though others are" in told


def test_mixed_depths_and_sizes_are_told_and_do_not_stop(
    tmp_path: Path, config: TrainConfig
) -> None:
    dataset = dataset_of_masks(tmp_path, [discs()] * 6)
    Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)).save(
        tmp_path / "1.png"
    )
    wide = np.random.default_rng(1).integers(0, 9, (SIDE, 80)).astype(np.uint8)
    Image.fromarray(wide).save(tmp_path / "2.png")
    dataset.images[2] = replace(dataset.images[2], width=80)
    plan = make_plan(dataset, config)
    assert plan.problem is None
    (depths,) = plan.warnings
    assert depths.startswith("Images of different bit depths: 5 uint8, 1 uint16; save all images")
    (sizes,) = plan.notes
    assert sizes.startswith("Images of 2 sizes")


def test_the_time_counts_the_validations(tmp_path: Path, config: TrainConfig) -> None:
    plan = make_plan(dataset_of_masks(tmp_path, [discs()] * 2), config)
    # Three looks at two strips of 64 x 16 pixels; a step trains on two crops of 96 x 96.
    assert plan.work == pytest.approx(3 * 2 * 64 * 16 / (2 * 96 * 96) / 3)
    assert plan.seconds(2.0) == pytest.approx((6 + plan.work) * 2)


def test_times_are_remembered_by_network_crops_and_device(
    tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path))
    key = step_key(config, "cpu")
    assert known_seconds(key) is None
    remember_seconds(key, 0.25)
    assert known_seconds(key) == 0.25
    assert known_seconds(step_key(config, "cuda:0")) is None
    longer = config.model_copy(update={"steps": 999})
    assert known_seconds(step_key(longer, "cpu")) == 0.25
    assert known_seconds(key, within=60) == 0.25
    later = time.time() + 100
    monkeypatch.setattr(step_times.time, "time", lambda: later)
    assert known_seconds(key, within=60) is None
    assert known_seconds(key) == 0.25
    larger = config.model_copy(update={"crop": 128})
    assert known_seconds(step_key(larger, "cpu")) is None
    (tmp_path / "step-times.json").write_text(f'{{"{key}": 0.5}}')  # of an earlier version
    assert (known_seconds(key), known_seconds(key, within=60)) == (0.5, None)
    (tmp_path / "step-times.json").write_text("[]")
    assert known_seconds(key) is None


def test_a_recipe_keeps_the_network_of_the_model(tmp_path: Path, config: TrainConfig) -> None:
    path = tmp_path / "recipe.json"
    other = config.model_copy(update={"steps": 77, "learning_rate": 1e-3, "validate_first": False})
    content = json.loads(other.model_dump_json())
    content["architecture"]["num_classes"] = 9
    path.write_text(json.dumps(content))
    made = with_recipe(config, path)
    assert made == config.model_copy(update={"steps": 77, "learning_rate": 1e-3})
    path.write_text('{"steps": 5}')
    assert with_recipe(config, path).steps == 5
    path.write_text(
        "settings: {steps: 7, augment: {gamma: 2.0}}\n"
        "stages: [{name: one, kind: train, settings: {augment: {noise: 0}, crop: 128}}]"
    )
    made = with_recipe(config, path)
    assert (made.steps, made.crop, made.augment.gamma, made.augment.noise) == (7, 128, 2.0, 0)
    assert made.augment.scale == config.augment.scale  # what it does not name stays
    for text, words in (
        ('{"stepz": 5}', "the setting 'stepz', which no recipe knows"),
        ('{"steps": -5}', "the setting 'steps' cannot be -5"),
        ("[]", "is no recipe"),
        ("{", "cannot be read as a recipe"),
        ("stages: [{name: a}, {name: b}]", "has several stages, and the window trains in one"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            with_recipe(config, path)
    with pytest.raises(UserError, match="cannot be read"):
        with_recipe(config, tmp_path / "none.json")


def test_planning_needs_no_torch() -> None:
    program = (
        "import sys, napari_sartorius.training.plan, napari_sartorius.training.step_times, "
        "napari_sartorius.training.recipe_file, napari_sartorius.training.run_state, "
        "napari_sartorius.engine.plan_jobs, napari_sartorius.engine.train_jobs; "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
