"""`train --recipe`, `recipes`, `train-classifier`: every recipe by its name, as a trial."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from napari_sartorius.io.coco import read_coco
from napari_sartorius.training.recipes.reading import read_recipe, recipe_names
from napari_sartorius.zoo import open_bundle
from typed_pictures import write_typed, write_unlabelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

TYPES = ("shsy5y", "astro", "cort")
# What each of them needs besides annotated images, and what it leaves behind.
GIVEN = {
    "seed-0": ("--pretrain-data", "--unlabelled"),
    "seed-3": ("--pretrain-data", "--unlabelled"),
    "seed-4": ("--pretrain-data", "--unlabelled"),
}
LEFT = {
    "seed-0": ("livecell", "fold-0/classifier", "fold-1/both", "out-of-fold.json"),
    "seed-3": ("pseudo-1/labels.json", "round-2", "model/rescorer.cbm"),
    "seed-4": (
        *("livecell", "fold-0/cells", "fold-1/with-pseudo/model", "out-of-fold-scores.txt"),
        *("fold-0/pseudo/labels.json",),
    ),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Annotated images of three types, of LIVECell's, and a folder with unlabelled ones."""
    folder = tmp_path_factory.mktemp("pictures")
    return {
        "--data": write_typed(folder / "target", TYPES, 4),
        "--pretrain-data": write_typed(folder / "livecell", ["A172", "SHSY5Y"], 3, seed=9),
        "--unlabelled": write_unlabelled(folder / "unlabelled", TYPES, 1),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_runs_by_its_name(
    run: Run, places: dict[str, Path], tmp_path: Path, name: str
) -> None:
    out = tmp_path / "run"
    start = ("--init", "nuclei") if name.startswith("finetune") else ()
    given = [part for option in GIVEN.get(name, ()) for part in (option, places[option])]
    done = run(
        *("train", "--recipe", name, "--data", places["--data"], "--out", out, "--trial"),
        *(*start, *given, "--set", "device=cpu", "--set", "threads=1"),
    )
    assert done.exit_code == 0, done.output
    assert "The trial went through" in done.stdout
    bundle = open_bundle(out / "model")
    assert bundle.verify() > 0
    kept = (
        {"nucleus"} if start else set()
    )  # a model that is trained further goes on finding its own
    assert set(bundle.card.category_names) == kept | set(TYPES)
    for place in LEFT.get(name, ()):
        assert (out / place).exists(), place
    family = read_recipe(name).settings.get("architecture", {}).get("family")
    if family is not None:
        assert bundle.lead.card.architecture.family == family
    if name == "seed-3":
        labels = read_coco(out / "pseudo-1" / "labels.json")
        assert all(image.extra["pseudo"] for image in labels.images)
    if name.startswith("finetune"):
        assert bundle.card.learnt_from.recipe_name == name
    if name == "seed-0":
        assert bundle.card.cell_type.by == "classifier"


@pytest.mark.slow
def test_a_recipe_is_resumed_by_its_folder_and_refuses_another(
    run: Run, places: dict[str, Path], tmp_path: Path
) -> None:
    out, mine = tmp_path / "run", tmp_path / "mine.yaml"
    shown = run("recipes", "show", "light")
    assert shown.exit_code == 0
    mine.write_text(shown.stdout.replace("Quick network for a laptop", "Mine"))
    common = ("train", "--data", places["--data"], "--out", out)
    wish = ("--recipe", mine, "--trial", "--set", "device=cpu", "--set", "cells.steps=1")
    assert run(*common, *wish).exit_code == 0
    assert json.loads((out / "recipe.json").read_text())["title"] == "Mine"
    assert json.loads((out / "cells" / "config.json").read_text())["steps"] == 1

    again = run(*common, *wish)
    assert again.exit_code == 1 and "already holds a run" in again.stderr
    resumed = run(*common, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "recipe mine: Mine" in resumed.stderr
    (places["--data"].parent / "few.json").write_text(
        json.dumps(json.loads(places["--data"].read_text()) | {"annotations": []})
    )
    few = ("train", "--data", places["--data"].parent / "few.json", "--out", out)
    with_others = run(*few, "--resume")
    assert with_others.exit_code == 1
    assert (
        "began with other images in --data (12 images with 108 objects; now" in with_others.stderr
    )
    other = run(*common, "--recipe", "seed-2", "--resume")
    assert other.exit_code == 1 and "with other settings" in other.stderr


def test_recipes_are_listed_and_shown(run: Run) -> None:
    listed = run("recipes", "list")
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in recipe_names())
    assert "livecell -> cells -> pseudo -> with-pseudo, 5 folds" in listed.stdout
    known = json.loads(run("recipes", "list", "--json").stdout)
    assert {one["name"] for one in known} == set(recipe_names())
    shown = run("recipes", "show", "seed-4").stdout
    assert "stem_stride: 1" in shown and "# " in shown
    wrong = run("recipes", "show", "seed-44")
    assert wrong.exit_code == 1 and "did you mean seed-4" in wrong.stderr


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--recipe", "none"), "there is no recipe 'none'"),
        (("--recipe", "light", "--effort", "quick"), "--recipe finetune-quick instead"),
        (("--recipe", "light", "--unlabelled", "."), "no use for --unlabelled"),
        (("--recipe", "light", "--set", "steps"), "PATH=VALUE"),
        (("--recipe", "light", "--fold", "1"), "has no folds"),
        (("--recipe", "finetune-quick"), "name it with --init"),
        (("--set", "learning_rate=-1"), "learning_rate"),
    ],
)
def test_wrong_options_are_told_before_anything_is_written(
    run: Run, places: dict[str, Path], tmp_path: Path, options: tuple[str, ...], fault: str
) -> None:
    done = run("train", "--data", places["--data"], "--out", tmp_path / "run", *options)
    assert done.exit_code == 1
    assert fault in done.stderr
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.slow
def test_a_classifier_is_trained_resumed_and_listed(
    run: Run, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    monkeypatch.setenv("SARTORIUS_MODELS", str(models))
    out = tmp_path / "types"
    options = ("--network", "resnet10t", "--size", 48, "--steps", 2, "--device", "cpu")
    common = ("train-classifier", "--data", places["--data"], "--out", out)
    done = run(*common, "--unlabelled", places["--unlabelled"], *options)
    assert done.exit_code == 0, done.output
    assert "of 3 validation images right" in done.stdout
    assert "images: 5 shsy5y, 5 astro, 5 cort" in done.stderr
    config = json.loads((out / "config.json").read_text())
    assert config["architecture"]["image_size"] == [48, 48] and config["steps"] == 2
    again = run(*common, *options)
    assert again.exit_code == 1 and "already holds a run" in again.stderr
    resumed = run(*common, "--unlabelled", places["--unlabelled"], "--resume", "--add", "kinds")
    assert resumed.exit_code == 0, resumed.output
    assert "resumed at step 2 of 2" in resumed.stderr
    card = open_bundle(out / "model").card
    assert card.is_classifier and card.category_names == list(TYPES)
    listed = run("models", "list")
    assert "kinds" in listed.stdout and "Cell types: shsy5y, astro, cort" in listed.stdout
    taken = run(*common, "--resume", "--add", "kinds")
    assert taken.exit_code == 1 and "called kinds already" in taken.stderr
    none = run("train-classifier", "--out", out)
    assert none.exit_code == 1 and "give --data, --unlabelled, or both" in none.stderr
    wrong = run(
        "train-classifier", "--data", places["--data"], "--out", tmp_path / "x", "--init", "y"
    )
    assert wrong.exit_code == 1
