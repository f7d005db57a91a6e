"""``napari-sartorius tune``: thresholds of a model's card that suit annotated images best."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated, Any

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.errors import Stopped
from napari_sartorius.cli.evaluate import known_variant
from napari_sartorius.cli.rescore import PresetChoice
from napari_sartorius.core.progress import Cancelled


def tune(
    model: Annotated[str, typer.Option(help="Name of a model, or path of a bundle.")],
    data: Annotated[
        Path, typer.Option(help="COCO JSON of images that the model was not trained on.")
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            "--out",
            "-o",
            help="Name of a copy of the model that gets the thresholds. Without it the model "
            "itself gets them, if it is your own.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Images of this split, where the file has splits; all: every image.")
    ] = "val",
    folds: Annotated[int, typer.Option(min=2, help="Parts of the images for the figures.")] = 5,
    trials: Annotated[
        int, typer.Option(min=1, help="Combinations tried for each category and fold.")
    ] = 150,
    preset: Annotated[
        PresetChoice, typer.Option(help="How the model looks at the images.")
    ] = PresetChoice.BALANCED,
    variant: Annotated[
        str, typer.Option(help="How the competition score counts matches; as for evaluate.")
    ] = "corrected",
    cache: Annotated[
        Path | None, typer.Option(help="Folder in which it is kept what the networks find.")
    ] = None,
    even_if_worse: Annotated[
        bool,
        typer.Option(
            "--even-if-worse",
            help="Take the tuned values also where they were no better on images not tuned on.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Find the thresholds of a model that suit your annotated images best, and write them down.

    Smallest score, mask probability, overlap and size are searched for each category. The networks
    look at each image once; stopped and started again, those looks are not repeated. The figures
    are those of images that were not tuned on. Needs optuna.
    """
    from napari_sartorius.engine.context import WorkerContext
    from napari_sartorius.engine.tune_jobs import TuneJob

    options: dict[str, Any] = {
        "folds": folds,
        "trials": trials,
        "preset": preset.value,
        "variant": known_variant(variant),
        "only_better": not even_if_worse,
        "device": device,
    }
    job = TuneJob(model, data, name, None if split == "all" else split, options, cache)
    try:
        with ConsoleMonitor() as monitor:
            result = job.run(WorkerContext(monitor))
    except (KeyboardInterrupt, Cancelled):
        raise Stopped("Stopped: nothing was written but what networks found so far.") from None
    figures = result.figures
    typer.echo(jsonlib.dumps(figures.to_dict(), indent=1) if json else figures.to_text())
    if result.path is None:
        typer.echo(
            "Nothing does better on images it was not tuned on: no model was written.", err=json
        )
        return
    typer.echo(
        f"The thresholds are in {result.path}: napari-sartorius segment ... --model "
        f"{result.name} --preset {preset.value}",
        err=json,
    )
