"""``napari-sartorius train``: annotated images in, a model out."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.errors import INTERRUPTED
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled

if TYPE_CHECKING:
    from napari_sartorius.training.config import TrainConfig


def train(
    data: Annotated[Path, typer.Option(help="COCO JSON; image files are looked up beside it.")],
    output: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for checkpoints, curve and model.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="JSON file with the whole configuration.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that the folder holds.")
    ] = False,
    init: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Model whose weights are the start.")
    ] = None,
) -> None:
    """Train a model on annotated images.

    Progress is kept in checkpoints: a run that was stopped goes on with --resume. The best model
    is written to the folder `model` inside the output folder and can be given to `segment`.
    """
    from napari_sartorius.io.coco import read_coco
    from napari_sartorius.training.run import train as run_training

    try:
        with ConsoleMonitor() as monitor:
            settings = _settings(data, output, config, resume, init)
            monitor.notice(f"{len(read_coco(data))} annotated images in {data}")
            bundle = run_training(data, output, settings, monitor, resume=resume)
    except (KeyboardInterrupt, Cancelled):
        typer.echo(
            "Stopped: run the same command with --resume to go on from the last checkpoint.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    for metric, value in bundle.card.metrics.items():
        typer.echo(f"{metric}: {value:.4g}")
    typer.echo(f"The model is in {bundle.path}: napari-sartorius segment ... --model {bundle.path}")


def _settings(
    data: Path, output: Path, config: Path | None, resume: bool, init: str | None
) -> TrainConfig | None:
    """Build the configuration from the options; None leaves it to the data."""
    from napari_sartorius.io.coco import read_coco
    from napari_sartorius.training.recipes import default_config
    from napari_sartorius.zoo import find_bundle

    earlier = output / "config.json"
    if config is None and resume and earlier.is_file():
        config = earlier
    settings = _read_config(config) if config is not None else None
    if init is None:
        return settings
    if settings is None:
        # The network of the model, so that all of its weights but the last layers fit.
        dataset = read_coco(data)
        card = find_bundle(init).card
        architecture = card.architecture.model_copy(update={"num_classes": len(dataset.categories)})
        settings = default_config(dataset).model_copy(
            update={"architecture": architecture, "normalisation": card.normalisation}
        )
    return settings.model_copy(update={"initial_weights": init})


def _read_config(path: Path) -> TrainConfig:
    from napari_sartorius.training.config import TrainConfig

    try:
        return TrainConfig.read(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(
            f"{path} is not a training configuration ({place}: {first['msg']}): correct it, or "
            "start from the config.json of an earlier run."
        ) from error
