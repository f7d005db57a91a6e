"""A model that came out of a training becomes one of those that are offered by name."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

Add = Annotated[
    str | None,
    typer.Option(
        "--add", metavar="NAME", help="Also put the finished model into the list, by this name."
    ),
]


def check_new_name(name: str | None) -> None:
    """Refuse a name that is taken or no name, before anything is trained."""
    if name is not None:
        from napari_sartorius.zoo.manage import check_free_name

        check_free_name(name)


def told_place(folder: Path, use: str = "napari-sartorius segment ... --model") -> str:
    """Where a finished model is, and the command that takes it, ready to be copied."""
    return f"The model is in {folder}: {use} {shlex.quote(str(folder))}"


def add_model(folder: Path, name: str | None) -> None:
    """Copy the model in a folder to where the others are, and say so; nothing without a name."""
    if name is None or not (folder / "model.json").is_file():
        return
    from napari_sartorius.training.recipes.made import copied
    from napari_sartorius.zoo import open_bundle, user_models_folder

    bundle = copied(open_bundle(folder), user_models_folder() / name, name)
    typer.echo(f"{bundle.card.name} is in the list of models now: napari-sartorius models list")
