"""A recipe goes on with the images that it began with; their kinds may be told by their records."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.importing import images_in
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.training.recipes.data import RecipeData, kinds_told_by
from napari_sartorius.training.recipes.fingerprint import (
    IMAGES_FILE,
    check_same_images,
    fingerprint,
    remember_images,
)
from napari_sartorius.training.recipes.reading import changed, read_recipe, recipe_of
from napari_sartorius.training.recipes.running import run_recipe
from napari_sartorius.training.recipes.trial import trial_of
from typed_pictures import write_typed, write_unlabelled

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.recipes.schema import Recipe

LINES = ["A172", "SHSY5Y"]


class Listener(Monitor):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


def as_livecell(path: Path) -> CocoDataset:
    """Images called as LIVECell's are, and all objects of the one category of its own files."""
    tree = json.loads(path.read_text())
    tree["categories"] = [{"id": 1, "name": "cell"}]
    for image in tree["images"]:
        line, number = image["file_name"].removesuffix(".png").split("_")
        name = f"{line}_Phase_A{number}_1_00d00h00m_1.png"
        (path.parent / image["file_name"]).rename(path.parent / name)
        image["file_name"] = name
        del image["cell_type"]
    for one in tree["annotations"]:
        one["category_id"] = 1
    path.write_text(json.dumps(tree))
    return read_dataset(path)


def stage_alone(name: str, stage: str) -> Recipe:
    """A trial of one stage of a recipe, whose images are what the recipe is for."""
    recipe = changed(trial_of(read_recipe(name)), ["device=cpu", "threads=1", "folds=1"])
    tree = recipe.model_dump(mode="json")
    tree["stages"] = [one for one in tree["stages"] if one["name"] == stage]
    return recipe_of(tree, name)


# -- kinds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["seed-0", "seed-4", "livecell-pretrain"])
def test_cell_lines_are_learnt_from_livecells_own_file(name: str, tmp_path: Path) -> None:
    lines = as_livecell(write_typed(tmp_path / "livecell", LINES, 3))
    assert lines.category_names == ["cell"]
    recipe, listener = stage_alone(name, "livecell"), Listener()
    bundle = run_recipe(recipe, RecipeData(lines, lines), tmp_path / "run", monitor=listener)
    assert bundle is not None
    assert bundle.card.category_names == LINES
    assert any("by their cell_type the images show 2: A172, SHSY5Y" in t for t in listener.notices)


def test_one_line_of_livecells_own_file_is_mixed_in(tmp_path: Path) -> None:
    lines = as_livecell(write_typed(tmp_path / "livecell", LINES, 3))
    target = read_dataset(write_typed(tmp_path / "target", ["shsy5y", "astro"], 3))
    recipe, listener = stage_alone("seed-3", "baseline"), Listener()
    run_recipe(recipe, RecipeData(target, lines), tmp_path / "run", monitor=listener)
    told = [text for text in listener.notices if "further images of pretrain" in text]
    assert told == ["baseline: 2 further images of pretrain"]  # a trial takes two of each line


def test_files_with_several_kinds_keep_them(tmp_path: Path) -> None:
    several = read_dataset(write_typed(tmp_path / "a", ["astro", "cort"], 1))
    assert kinds_told_by(several, "nothing") is several


# -- the same images -----------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> RecipeData:
    target = read_dataset(write_typed(tmp_path / "target", ["astro", "cort"], 3))
    return RecipeData(
        target, None, images_in(write_unlabelled(tmp_path / "more", ["astro", "cort"], 1))
    )


def test_moved_images_are_the_same(data: RecipeData, tmp_path: Path) -> None:
    remember_images(tmp_path, data)
    assert str(tmp_path) not in (tmp_path / IMAGES_FILE).read_text()
    shutil.move(tmp_path / "target", tmp_path / "elsewhere")
    shutil.move(tmp_path / "more", tmp_path / "other")
    moved = read_coco(tmp_path / "elsewhere" / "annotations.json")
    check_same_images(tmp_path, RecipeData(moved, None, images_in(tmp_path / "other")))


def test_other_images_are_refused_in_one_sentence(data: RecipeData, tmp_path: Path) -> None:
    remember_images(tmp_path, data)
    fewer = data.target.select(lambda image: image.id != 1)
    renamed = data.target.select(lambda _: True)
    renamed.images[0] = type(renamed.images[0])(1, "new.png", 96, 96, renamed.images[0].extra)
    moved = data.target.select(lambda _: True)
    moved.images[0] = type(moved.images[0])(
        1, moved.images[0].file_name, 96, 96, moved.images[0].extra | {"split": "val"}
    )
    for other, words in (
        (RecipeData(fewer, None, data.unlabelled), r"--data \(6 images.*; now 5 images with 45"),
        (RecipeData(renamed, None, data.unlabelled), "54 objects; now others"),
        (RecipeData(moved, None, data.unlabelled), "now others"),
        (RecipeData(data.target), r"with --unlabelled \(2 images with 0.*which is missing now"),
        (RecipeData(data.target, fewer, data.unlabelled), "began without --pretrain-data; give"),
    ):
        with pytest.raises(UserError, match=words):
            check_same_images(tmp_path, other)
    (tmp_path / IMAGES_FILE).write_text("[]")
    with pytest.raises(UserError, match="damaged"):
        check_same_images(tmp_path, data)
    (tmp_path / IMAGES_FILE).unlink()
    check_same_images(tmp_path, data)  # a run of an earlier version takes any


def test_a_run_does_not_go_on_with_other_images(data: RecipeData, tmp_path: Path) -> None:
    recipe, run = stage_alone("light", "cells"), tmp_path / "run"
    run_recipe(recipe, data, run)
    assert fingerprint(data.target).sha256 in (run / IMAGES_FILE).read_text()
    run_recipe(recipe, data, run)
    fewer = RecipeData(data.target.select(lambda image: image.id != 1), None, data.unlabelled)
    with pytest.raises(UserError, match="began with other images in --data"):
        run_recipe(recipe, fewer, run)
