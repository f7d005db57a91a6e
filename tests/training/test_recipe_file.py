"""A recipe's file in the window: what it says is done, told, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annotated_discs import dataset_of_masks, discs
from napari_sartorius.core.errors import UserError
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.finetune import BUDGETS
from napari_sartorius.training.finetune_schedule import finetune_config, in_proportion
from napari_sartorius.training.recipe_file import (
    FOR_PEOPLE,
    HONOURED,
    LEFT_OUT,
    OF_THE_MODEL,
    REFUSED,
    RecipeFile,
    read_recipe_file,
)
from napari_sartorius.training.recipes.reading import merged, read_recipe, recipe_file, recipe_names
from napari_sartorius.training.recipes.schema import FineTuneStage, Recipe, TrainStage
from napari_sartorius.zoo.learnt_from import LearntFrom
from tiny_models import tiny_card

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset

KINDS = ["big", "small"]


@pytest.fixture
def dataset(tmp_path: Path) -> CocoDataset:
    """Ten images, of which eight are learnt from."""
    return dataset_of_masks(tmp_path, [discs()] * 10)


def usual(effort: str = "quick") -> TrainConfig:
    return finetune_config(tiny_card(), KINDS, effort)  # type: ignore[arg-type]


def written(folder: Path, text: str) -> RecipeFile:
    path = folder / "mine.yaml"
    path.write_text(text)
    return read_recipe_file(path)


def test_every_field_of_a_recipe_is_done_told_or_refused() -> None:
    known = {*FOR_PEOPLE, *HONOURED, *LEFT_OUT, *REFUSED}
    for kind in (Recipe, TrainStage, FineTuneStage):
        assert set(kind.model_fields) <= known


@pytest.mark.parametrize("name", recipe_names())
def test_nothing_of_a_shipped_recipe_is_dropped_in_silence(name: str, dataset: CocoDataset) -> None:
    recipe, path = read_recipe(name), recipe_file(name)
    if len(recipe.stages) > 1 or name == "light":  # which has settings for no model but its own
        with pytest.raises(UserError, match=rf"napari-sartorius train --recipe \S*{name}.yaml "):
            read_recipe_file(path).applied(usual(), dataset)
        return
    asked, (stage,) = read_recipe_file(path), recipe.stages
    config = usual(asked.effort or "quick")
    made = asked.applied(config, dataset)
    told = " ".join(asked.notes(config, "tiny"))
    wanted = merged(recipe.settings, stage.settings)
    for key, value in wanted.items():
        given = made.model_dump(mode="json")[key]
        is_done = merged({key: given}, {key: value})[key] == given
        assert is_done or key in told, key
    if isinstance(stage, FineTuneStage):
        assert (asked.effort, asked.budget) == (stage.effort, BUDGETS[stage.effort])
        assert (made, told) == (usual(stage.effort), "")
        return
    assert asked.budget is None
    assert isinstance(stage, TrainStage)
    if stage.epochs is not None:
        assert made.steps == round(stage.epochs.total * 8 / made.batch_size)
    for field in ("input_size", "mix", "init"):
        assert not getattr(stage, field) or field in told, field
    assert not recipe.licence or "licence" in told
    assert asked.categories_from == stage.categories_from
    assert f"{name}.yaml does not say is as in Quick" in told


def test_the_thorough_recipe_is_not_the_quick_one(dataset: CocoDataset) -> None:
    asked = read_recipe_file(recipe_file("finetune-thorough"))
    assert asked.effort == "thorough"
    assert asked.budget == 3600
    assert asked.applied(usual(asked.effort), dataset).steps == 1500


def test_epochs_become_steps_for_the_images_at_hand(dataset: CocoDataset) -> None:
    asked = read_recipe_file(recipe_file("seed-2"))
    made = asked.applied(usual(), dataset)
    assert (made.steps, made.decay_steps, made.warmup_steps) == (800, (480,), 0)
    few = dataset.select(lambda image: image.id in (1, 2))  # a strip of each is kept apart
    assert asked.applied(usual(), few).steps == 200
    (first, second) = asked.notes(usual(), "tiny")
    assert first.startswith(
        "seed-2.yaml: architecture, normalisation, init (torchvision-maskrcnn-r50), input_size "
        "have no effect here, where tiny is trained further; `napari-sartorius train --recipe "
    )
    assert second == "What seed-2.yaml does not say is as in Quick."


def test_a_fine_tuning_with_steps_of_its_own_has_no_budget(tmp_path: Path) -> None:
    asked = written(
        tmp_path,
        "settings: {learning_rate: 1.0e-5}\n"
        "stages: [{name: a, kind: finetune, effort: thorough, settings: {steps: 77}}]",
    )
    assert (asked.name, asked.effort, asked.budget) == ("mine", "thorough", None)
    made = asked.applied(usual("thorough"))
    assert (made.steps, made.learning_rate, made.ema) == (77, 1e-5, 0.995)
    assert asked.notes(usual("thorough"), "tiny") == ()


@pytest.mark.parametrize(
    ("effort", "settings", "schedule"),
    [
        ("quick", "steps: 20", (20, 3, 3, 3)),
        ("thorough", "steps: 77", (77, 12, 7, 7)),
        ("quick", "steps: 3000", (3000, 50, 500, 50)),
        ("quick", "steps: 1", (1, 1, 1, 1)),
        ("quick", "steps: 20, validate_every: 15", (20, 3, 15, 3)),
        ("quick", "steps: 20, warmup_steps: 0, checkpoint_every: 20", (20, 0, 3, 20)),
        ("quick", "crop: 64", (300, 50, 50, 50)),
    ],
)
def test_what_is_counted_in_steps_goes_with_the_steps_that_are_stated(
    tmp_path: Path, effort: str, settings: str, schedule: tuple[int, ...]
) -> None:
    asked = written(
        tmp_path,
        f"stages: [{{name: a, kind: finetune, effort: {effort}, settings: {{{settings}}}}}]",
    )
    made = asked.applied(usual(effort))
    told = (made.steps, made.warmup_steps, made.validate_every, made.checkpoint_every)
    assert told == schedule


@pytest.mark.parametrize("steps", [2, 5, 7, 20, 39, 299])
@pytest.mark.parametrize("effort", ["quick", "thorough"])
def test_a_short_run_is_validated_before_its_end_and_never_only_warms_up(
    effort: str, steps: int
) -> None:
    config = usual(effort)
    made = in_proportion(config.model_copy(update={"steps": steps}), config, {"steps"})
    assert made.validate_every < steps
    assert 1 <= made.warmup_steps <= max(1, steps // 6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folds: 3\nstages: [{name: a, kind: train}]", "trains 3 folds, and the window trains one"),
        ("stages: [{name: a, kind: train, data: pretrain}]", "data: pretrain"),
        ("stages: [{name: a, kind: classifier}]", "has a stage 'classifier'"),
        ("stages: [{name: a, kind: train}, {name: b, kind: train}]", "has several stages"),
        ("stages: [{name: a, kind: train}]", "says nothing that a model could be trained further"),
    ],
)
def test_what_the_window_cannot_make_is_refused_with_the_command(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UserError, match=words) as told:
        written(tmp_path, text).applied(usual())
    assert f"napari-sartorius train --recipe {tmp_path / 'mine.yaml'} --data" in str(told.value)


def test_a_misspelt_entry_of_a_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml cannot be used: stages\.0\.train\.epoch"):
        written(tmp_path, "stages: [{name: a, kind: train, epoch: 3}]")


def test_a_configuration_says_what_of_it_has_no_effect(tmp_path: Path) -> None:
    config = usual()
    same = written(tmp_path, config.model_dump_json())
    assert same.name == "mine.yaml"
    assert same.notes(config, "tiny") == ()
    other = config.model_copy(update={"initial_weights": "nuclei", "validate_first": False})
    tree = merged(other.model_dump(mode="json"), {"architecture": {"num_classes": 7}})
    asked = written(tmp_path, TrainConfig.model_validate(tree).model_dump_json())
    (told,) = asked.notes(config, "tiny")
    assert told.startswith("mine.yaml: validate_first, initial_weights (nuclei) have no effect")
    assert f"napari-sartorius train --config {tmp_path / 'mine.yaml'}" in told
    (told,) = written(tmp_path, "balance: category\nnormalisation: {method: fixed}").notes(
        config, "tiny"
    )
    assert "normalisation, balance" in told
    assert set(OF_THE_MODEL) == {"architecture", "normalisation"}


def test_a_card_without_the_name_of_its_recipe_can_be_read() -> None:
    card = {"parent": "tiny", "parent_sha256": "", "cells": 3, "recipe": "own", "steps": 1}
    assert LearntFrom.model_validate(card | {"seconds": 2}).recipe_name == ""
