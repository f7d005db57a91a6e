"""``napari-sartorius models``: which models there are and what is known of each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor

if TYPE_CHECKING:
    from napari_sartorius.zoo import InputSize, ModelBundle


class Engine(StrEnum):
    """Who runs the network of an imported model."""

    own = "own"
    detectron2 = "detectron2"


models_app = typer.Typer(help="The models that are installed.", no_args_is_help=True)


@models_app.command("list")
def list_models() -> None:
    """List the models that ship with the package and those that were added."""
    from napari_sartorius.zoo import list_bundles, user_models_folder

    bundles = list_bundles()
    width = max((len(bundle.card.name) for bundle in bundles), default=0)
    for bundle in bundles:
        names = ", ".join(bundle.card.category_names)
        typer.echo(f"{bundle.card.name:<{width}}  {bundle.card.title} ({names})")
    if not bundles:
        typer.echo(f"No model is installed; put bundles into {user_models_folder()}.")


@models_app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="Name of a model or path of a bundle.")],
) -> None:
    """Show a model's card: what it finds, licence, training data, metrics, known failures."""
    from napari_sartorius.zoo import find_bundle

    typer.echo("\n".join(card_lines(find_bundle(name))))


@models_app.command("import")
def import_model(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="Checkpoint of detectron2, .pth or .pkl.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="The config.yaml of the training run.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model; the file's name when not given.")
    ] = None,
    categories: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Names of the classes in the order of training."),
    ] = None,
    cell_diameter: Annotated[
        float | None,
        typer.Option(help="Typical cell diameter in pixels of the network's input."),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(
            help="Who runs the network: this program, or a detectron2 that you have installed, "
            "which can run any of its instance segmentation models and needs --config."
        ),
    ] = Engine.own,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="List what became of every tensor.")
    ] = False,
) -> None:
    """Add a Mask R-CNN that was trained with detectron2 (R50-FPN, R101-FPN).

    Nothing in the file is executed. Give the configuration of the training run when anchors,
    grey levels or image sizes were changed in it; what is assumed without it is printed.
    """
    if engine is Engine.detectron2:
        from napari_sartorius.zoo.detectron2_engine import import_with_detectron2 as import_it
    else:
        from napari_sartorius.zoo.checkpoints import import_checkpoint as import_it

    names = [one.strip() for one in categories.split(",")] if categories is not None else None
    with ConsoleMonitor() as monitor:
        imported = import_it(
            checkpoint,
            config=config,
            name=name,
            categories=names,
            cell_diameter=cell_diameter,
            monitor=monitor,
        )
    typer.echo("\n".join(imported.report.lines(every_tensor=tensors)))
    card = imported.bundle.card
    typer.echo(
        f"{card.name} finds {', '.join(card.category_names)}; it is in {imported.bundle.path}"
    )
    typer.echo(f"Use it: napari-sartorius segment ... --model {card.name}")


def card_lines(bundle: ModelBundle) -> list[str]:
    """Lines of a card for a reader."""
    from napari_sartorius.zoo.detectron2_engine.available import why_unusable

    card = bundle.card
    pixel = f"{card.pixel_size:g} um" if card.pixel_size else "unknown"
    lines = [
        f"{card.name}: {card.title}",
        "",
        card.description,
        "",
        f"Finds:          {', '.join(card.category_names)}",
        f"Cell diameter:  {card.cell_diameter:g} px, pixel size {pixel}",
        *([f"Input:          {_input(card.input_size)}"] if card.input_size else []),
        f"Licence:        {card.licence}",
        f"Trained on:     {card.training_data}",
    ]
    optional = {
        "Schedule": card.schedule,
        "Citation": card.citation,
        "Parent": card.parent or "",
        "Reproduce with": card.metrics_command,
    }
    lines += [f"{title + ':':<15} {text}" for title, text in optional.items() if text]
    lines += [f"Thresholds of {c}: {_thresholds(bundle, c)}" for c in card.category_names]
    if card.metrics:
        lines += ["", "Metrics:"]
        lines += [f"  {metric}: {value:.4g}" for metric, value in card.metrics.items()]
    if card.known_failures:
        lines += ["", "Known failures:", *(f"  - {failure}" for failure in card.known_failures)]
    obstacle = why_unusable(card)
    if obstacle:
        lines += ["", f"Cannot be used here: {obstacle}"]
    lines += ["", f"Location: {bundle.path}"]
    return lines


def _input(size: InputSize) -> str:
    return f"whole images with a shorter edge of {size.short_edge} px (longer: {size.long_edge} px)"


def _thresholds(bundle: ModelBundle, category: str) -> str:
    found = bundle.card.thresholds_of(category)
    return (
        f"score {found.score:g}, mask {found.mask:g}, nms {found.nms:g}, min size {found.min_size}"
    )
