"""``napari-sartorius recipes``: which ways to train there are, and what each of them does."""

from __future__ import annotations

from typing import Annotated

import typer

recipes_app = typer.Typer(
    help="Ready ways to train: see which there are and what they do.", no_args_is_help=True
)


@recipes_app.command("list")
def list_recipes(
    json: Annotated[bool, typer.Option("--json", help="Print all that is known as JSON.")] = False,
) -> None:
    """List the recipes."""
    import json as jsonlib

    from napari_sartorius.training.recipes.reading import read_recipe, recipe_names

    recipes = [read_recipe(name) for name in recipe_names()]
    if json:
        typer.echo(jsonlib.dumps([one.model_dump(mode="json") for one in recipes], indent=1))
        return
    width = max(len(one.name) for one in recipes)
    for one in recipes:
        stages = " -> ".join(stage.name for stage in one.stages)
        folds = f", {one.folds} folds" if one.folds > 1 else ""
        typer.echo(f"{one.name:<{width}}  {one.title} ({stages}{folds})")
    typer.echo("Train with one: napari-sartorius train --recipe NAME --data ... --out ...")


@recipes_app.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(help="Name of a recipe, or its file.")],
) -> None:
    """Print a recipe's file, with its sources and remarks.

    Write it into a file of your own (> mine.yaml), change it, and train with --recipe mine.yaml.
    """
    from napari_sartorius.training.recipes.reading import read_recipe, recipe_file

    read_recipe(name)  # what is shown should also be right
    typer.echo(recipe_file(name).read_text(encoding="utf-8"), nl=False)
