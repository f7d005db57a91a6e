"""The program ``napari-sartorius``: one verb per file, errors in one sentence, torch when used."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_sartorius import __version__
from napari_sartorius.cli.data import data_app
from napari_sartorius.cli.demo import demo
from napari_sartorius.cli.doctor import doctor
from napari_sartorius.cli.errors import SentenceGroup
from napari_sartorius.cli.evaluate import evaluate
from napari_sartorius.cli.export import export
from napari_sartorius.cli.importing import import_annotations
from napari_sartorius.cli.model_ensembles import models_app
from napari_sartorius.cli.recipes import recipes_app
from napari_sartorius.cli.rescore import rescore_app
from napari_sartorius.cli.segment import segment
from napari_sartorius.cli.shapes import shapes
from napari_sartorius.cli.train import train
from napari_sartorius.cli.train_classifier import train_classifier
from napari_sartorius.cli.tune import tune

app = typer.Typer(
    cls=SentenceGroup,
    help="Find every cell in microscopy images, measure how well, and train on corrections.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-sartorius {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the full report when something goes wrong.")
    ] = False,
) -> None:
    """Options of every verb; `debug` is read by `SentenceGroup`."""
    context.obj = {"debug": debug}


app.command()(segment)
app.command()(evaluate)
app.command()(shapes)
app.command()(train)
app.command("train-classifier")(train_classifier)
app.command()(tune)
app.command()(export)
app.command("import")(import_annotations)
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.add_typer(recipes_app, name="recipes")
app.add_typer(rescore_app, name="rescore")
app.command()(doctor)
app.command()(demo)
