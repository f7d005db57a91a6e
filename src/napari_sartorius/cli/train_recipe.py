"""The part of ``napari-sartorius train`` that goes by recipes: options to a run, a run to words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_sartorius.cli.adding import told_place
from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.recipes.schema import Recipe
    from napari_sartorius.zoo import AnyBundle

DEFAULT_RECIPE = "light"


@dataclass(frozen=True)
class RecipeOptions:
    """What the user asked for, as on the command line."""

    recipe: str | None = None
    pretrain: Path | None = None
    unlabelled: Path | None = None
    folds: int | None = None
    fold: int | None = None
    steps_scale: float | None = None
    changes: tuple[str, ...] = ()
    trial: bool = False
    init: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything was asked for that only recipes can do."""
        return bool(
            self.recipe
            or self.pretrain
            or self.unlabelled
            or self.folds is not None
            or self.fold is not None
            or self.steps_scale is not None
            or self.changes
            or self.trial
        )


def has_recipe(output: Path) -> bool:
    """Whether a folder holds a run that began with a recipe."""
    return (output / "recipe.json").is_file()


def train_by_recipe(
    dataset: CocoDataset, images: Path | None, output: Path, options: RecipeOptions, resume: bool
) -> None:
    """Run a recipe and tell what came out."""
    from napari_sartorius.io.importing import images_in
    from napari_sartorius.io.sources import read_dataset
    from napari_sartorius.training.recipes.data import RecipeData
    from napari_sartorius.training.recipes.running import needs, run_recipe

    recipe = _recipe(output, options, resume)
    known = needs(recipe)
    for name, given in (("pretrain", options.pretrain), ("unlabelled", options.unlabelled)):
        if given is not None and not known[name]:
            option = "--pretrain-data" if name == "pretrain" else "--unlabelled"
            raise UserError(f"the recipe {recipe.name} has no use for {option}: leave it out")
    with ConsoleMonitor() as monitor:
        monitor.notice(
            f"recipe {recipe.name}: {recipe.title}; {plural(len(dataset), 'annotated image')}"
        )
        data = RecipeData(
            dataset,
            None if options.pretrain is None else read_dataset(options.pretrain, images),
            None if options.unlabelled is None else images_in(options.unlabelled),
        )
        bundle = run_recipe(
            recipe, data, output, init=options.init, fold=options.fold, monitor=monitor
        )
    _tell(recipe, bundle, output)


def _recipe(output: Path, options: RecipeOptions, resume: bool) -> Recipe:
    """The recipe with all changes, or the one that the folder's run began with."""
    from napari_sartorius.training.recipes.reading import changed, read_recipe, scaled
    from napari_sartorius.training.recipes.running import stored_recipe
    from napari_sartorius.training.recipes.trial import trial_of

    earlier = stored_recipe(output)
    is_own_fold = options.fold is not None and not (output / f"fold-{options.fold}").exists()
    if earlier is not None and not resume and not is_own_fold:
        raise UserError(
            f"{output} already holds a run; give --resume to go on with it, or choose another "
            "folder."
        )
    asked = any(
        (options.recipe, options.folds, options.steps_scale, options.changes, options.trial)
    )
    if earlier is not None and not asked:
        return earlier
    recipe = read_recipe(options.recipe or DEFAULT_RECIPE)
    if options.trial:
        recipe = trial_of(recipe)
    if options.steps_scale is not None:
        recipe = scaled(recipe, options.steps_scale)
    changes = [] if options.folds is None else [f"folds={options.folds}"]
    return changed(recipe, [*changes, *options.changes])


def _tell(recipe: Recipe, bundle: AnyBundle | None, output: Path) -> None:
    if bundle is None:
        typer.echo(f"The fold is done: {output}")
        return
    for metric, value in bundle.card.metrics.items():
        typer.echo(f"{metric}: {value:.4g}")
    scores = output / "out-of-fold-scores.txt"
    if scores.is_file():
        typer.echo(scores.read_text(encoding="utf-8").split("\n\n", 1)[-1].rstrip())
        typer.echo(f"Every image predicted by a model that had not seen it: {scores.parent}")
    if recipe.trial:
        typer.echo("The trial went through; the model knows nothing. Leave --trial out to train.")
        return
    typer.echo(f"Licence: {bundle.card.licence}")
    typer.echo(told_place(bundle.path))
