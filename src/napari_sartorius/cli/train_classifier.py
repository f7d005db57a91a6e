"""``napari-sartorius train-classifier``: a model that tells the cell type of a whole image."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sartorius.cli.adding import Add, add_model, check_new_name, told_place
from napari_sartorius.cli.config_file import read_config
from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.source import read_source
from napari_sartorius.cli.training_run import run_training
from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from napari_sartorius.training.classifier.config import ClassifierConfig


def train_classifier(
    output: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for checkpoints, curve and model.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Annotated images, as for `train`: their field cell_type tells the type, or the "
            "category of their cells."
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(help="Folder with images whose file names tell the type, as astro[x]_C6-1."),
    ] = None,
    name_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX", help="Where the type is in a file name: the first group of this."
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="Any network of timm, such as efficientnetv2_rw_m; it begins at random."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=32, help="Images are brought to this size, whatever their aspect."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of the training.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="JSON file with the whole configuration.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Classifier, or file with weights of the network, to start from."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Where to look for images that are not where the annotations say."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that the folder holds.")
    ] = False,
    add: Add = None,
) -> None:
    """Teach a model to tell which cell type an image shows.

    The result decides the cell type in an ensemble: models ensemble ... --classifier OUT/model.
    """
    from napari_sartorius.io.importing import images_in
    from napari_sartorius.training.classifier.run import train_classifier as teach

    if data is None and unlabelled is None:
        raise UserError("give --data, --unlabelled, or both: images whose type is known.")
    options = {
        "name_pattern": name_pattern,
        "steps": steps,
        "initial_weights": init,
        "device": device,
    }

    def work() -> None:
        check_new_name(add)
        settings = _settings(output, config, resume, options, network, size)
        with ConsoleMonitor() as monitor:
            taught = teach(
                None if data is None else read_source(data, images, monitor),
                output,
                settings,
                monitor,
                resume,
                unlabelled=None if unlabelled is None else images_in(unlabelled),
            )
        typer.echo(taught.text())
        path = taught.bundle.path
        typer.echo(told_place(path, "models ensemble ... --classifier"))
        add_model(path, add)

    run_training(work)


def _settings(
    output: Path,
    config: Path | None,
    resume: bool,
    options: dict[str, Any],
    network: str | None,
    size: int | None,
) -> ClassifierConfig:
    from pydantic import ValidationError

    from napari_sartorius.training.classifier.config import ClassifierConfig
    from napari_sartorius.training.recipes.reading import first_fault, put

    earlier = output / "config.json"
    if config is None and resume and earlier.is_file():
        config = earlier
    base = (
        ClassifierConfig()
        if config is None
        else read_config(
            config,
            ClassifierConfig,
            "is not the configuration of a classifier",
            "correct it, or start from the config.json of an earlier run.",
        )
    )
    tree = base.model_dump() | {key: value for key, value in options.items() if value is not None}
    if network is not None:
        put(tree, ["architecture", "trunk", "name"], network)
    if size is not None:
        put(tree, ["architecture", "image_size"], (size, size))
    try:
        return ClassifierConfig.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"the classifier cannot be trained so: {first_fault(error)}") from error
