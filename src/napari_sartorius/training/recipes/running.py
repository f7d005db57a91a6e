"""Runs a recipe: stage after stage, once or for every fold, in one folder that can be resumed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.atomic import write_text
from napari_sartorius.training.leading import by_the_first
from napari_sartorius.training.recipes.fingerprint import check_same_images, remember_images
from napari_sartorius.training.recipes.folding import check_folds, run_folds
from napari_sartorius.training.recipes.reading import recipe_of
from napari_sartorius.training.recipes.schema import ClassifierStage, FineTuneStage, TrainStage
from napari_sartorius.training.recipes.sequence import label_of, result_of, run_stages
from napari_sartorius.training.recipes.stages import StageRunner

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.recipes.data import RecipeData
    from napari_sartorius.training.recipes.schema import Recipe
    from napari_sartorius.zoo import AnyBundle

RECIPE_FILE = "recipe.json"
"""The recipe of a run with all changes, in its folder."""


@by_the_first
def run_recipe(
    recipe: Recipe,
    data: RecipeData,
    folder: Path,
    *,
    init: str | None = None,
    fold: int | None = None,
    monitor: Monitor | None = None,
) -> AnyBundle | None:
    """Train as a recipe says.

    Parameters
    ----------
    recipe
        With all changes; see `reading`.
    data
        Images. With folds, marks of their split are not looked at, but that images of other splits
        than train and val (a test set) stay out.
    folder
        Run folder: ``recipe.json``, ``images.json`` (by which other images are told from those that
        it began with), a folder for each stage, with folds ``fold-0`` ... which hold
        the stages of each fold, and the result ``model``. What is finished there is not done again.
    init
        Start instead of the models from outside that the recipe names; ``none`` begins at random.
    fold
        Only this fold, and nothing after it: for a cluster, where each fold is a job of its own.
    monitor
        Progress, notices, cancel.

    Returns
    -------
    ModelBundle or EnsembleBundle or None
        What is in ``model``; None after a single fold.

    Raises
    ------
    UserError
        When the folder holds a run with another recipe or other images, the images cannot be
        divided into its folds, or a stage cannot run.
    """
    monitor = monitor or Monitor()
    learnt = data.few() if recipe.trial else data
    if recipe.folds > 1:
        check_folds(recipe, learnt.target)  # before the folder is taken: it can be used again
    _check_folder(recipe, data, folder)
    data = learnt
    if fold is not None and not 0 <= fold < recipe.folds:
        raise UserError(
            f"there is no fold {fold}: the run has {recipe.folds}, numbered from 0"
            if recipe.folds > 1
            else f"there is no fold {fold}: the run has no folds, ask for some with --folds"
        )
    if recipe.trial:
        monitor.notice("a trial: the model that comes out knows nothing")
    if recipe.folds == 1:
        runner = StageRunner(recipe, data, folder, label_of(folder), init)
        made = run_stages(runner, recipe.stages, monitor)
        return result_of(made, recipe, folder, label_of(folder))
    return run_folds(recipe, data, folder, init, fold, monitor)


def stored_recipe(folder: Path) -> Recipe | None:
    """The recipe of a run that began in a folder; None where there is none.

    Raises
    ------
    UserError
        When the file is damaged.
    """
    path = folder / RECIPE_FILE
    if not path.is_file():
        return None
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: begin anew in another folder") from error
    return recipe_of(tree, str(path))


def _check_folder(recipe: Recipe, data: RecipeData, folder: Path) -> None:
    earlier = stored_recipe(folder)
    if earlier is not None and earlier != recipe:
        raise UserError(
            f"{folder} holds a run of the recipe {earlier.name} with other settings; give the same "
            "ones to go on with it, or choose another folder"
        )
    check_same_images(folder, data)
    folder.mkdir(parents=True, exist_ok=True)
    remember_images(folder, data)
    write_text(folder / RECIPE_FILE, recipe.model_dump_json(indent=1))


def needs(recipe: Recipe) -> dict[str, bool]:
    """Which further images a recipe can use: ``pretrain``, ``unlabelled``, ``init``."""
    trained = [stage for stage in recipe.stages if isinstance(stage, TrainStage)]
    kinds = {stage.kind for stage in recipe.stages}
    return {
        "pretrain": any(
            stage.data == "pretrain" or any(one.images == "pretrain" for one in stage.mix)
            for stage in trained
        ),
        "unlabelled": "pseudo_labels" in kinds
        or any(isinstance(s, ClassifierStage) and s.unlabelled for s in recipe.stages),
        "init": any(isinstance(stage, FineTuneStage) for stage in recipe.stages),
    }
