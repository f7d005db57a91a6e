"""``napari-sartorius rescore``: give a model a second level that judges each object it finds."""

from __future__ import annotations

import enum
import json as jsonlib
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.errors import Stopped
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from napari_sartorius.zoo import AnyBundle

rescore_app = typer.Typer(
    help="Teach a model to judge how well each object fits, and look at what it learnt.",
    no_args_is_help=True,
)


class RankChoice(enum.StrEnum):
    """What becomes the score of an object."""

    SCORE = "score"
    PREDICTED_IOU = "predicted_iou"
    PRODUCT = "product"


class PresetChoice(enum.StrEnum):
    """How often the model looks at each image."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


@rescore_app.command("fit")
def fit(
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
            help="Name of a copy of the model that gets the rescorer. Without it the model itself "
            "gets it, if it is your own.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Images of this split, where the file has splits; all: every image.")
    ] = "val",
    folds: Annotated[int, typer.Option(min=2, help="Parts of the images for the figures.")] = 5,
    preset: Annotated[
        PresetChoice, typer.Option(help="How the model looks at the images.")
    ] = PresetChoice.BEST,
    min_iou: Annotated[
        float, typer.Option(min=0, max=1, help="Objects of which less is expected are dropped.")
    ] = 0.3,
    rank: Annotated[
        RankChoice, typer.Option(help="What becomes the score of an object.")
    ] = RankChoice.SCORE,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for settings, curve and figures; what was stopped goes on there.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Teach a second level from annotated images and put it into a model.

    Each image is segmented once. The figures are those of objects in images that the second level
    did not learn from; what is written has learnt from all. Needs catboost and OpenCV.
    """
    from napari_sartorius.engine.context import WorkerContext
    from napari_sartorius.engine.rescore_jobs import TeachRescorerJob

    options: dict[str, Any] = {
        "folds": folds,
        "preset": preset.value,
        "min_predicted_iou": min_iou,
        "rank": rank.value,
        "device": device,
    }
    job = TeachRescorerJob(model, data, name, None if split == "all" else split, run, options)
    try:
        with ConsoleMonitor() as monitor:
            result = job.run(WorkerContext(monitor))
    except (KeyboardInterrupt, Cancelled):
        kept = "nothing was written" if run is None else f"give --run {run} again to go on"
        raise Stopped(f"Stopped: {kept}.") from None
    figures = result.figures
    typer.echo(jsonlib.dumps(figures.to_dict(), indent=1) if json else figures.to_text(rank.value))
    typer.echo(
        f"The rescorer is in {result.path}: napari-sartorius segment ... --model {result.name} "
        "--preset best",
        err=json,
    )


@rescore_app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a bundle.")],
    json: Annotated[bool, typer.Option("--json", help="Print all that is known as JSON.")] = False,
) -> None:
    """Say what a model's second level learnt from, what it looks at, and how good it is."""
    from napari_sartorius.postprocess.second_level.rescorer import Rescorer
    from napari_sartorius.zoo import find_bundle

    bundle = find_bundle(model)
    data = bundle.read_rescorer()
    if data is None:
        raise UserError(
            f"the model {bundle.card.name} has no second level; make one with 'napari-sartorius "
            "rescore fit'"
        )
    rescorer = Rescorer.from_bytes(data, f"the rescorer of {bundle.card.name}")
    if json:
        known = {"features": rescorer.features, "importance": rescorer.importance()}
        typer.echo(jsonlib.dumps({**known, **rescorer.facts}, indent=1))
        return
    typer.echo("\n".join(_lines(bundle, rescorer.features, rescorer.facts, rescorer.importance())))


def _lines(
    bundle: AnyBundle,
    features: tuple[str, ...],
    facts: dict[str, Any],
    importance: dict[str, float],
) -> list[str]:
    card = bundle.card.rescorer
    assert card is not None
    limits = ", ".join(f"{name} {value:g}" for name, value in card.min_predicted_iou.items())
    ahead = sorted(importance, key=lambda name: -importance[name])[:8]
    lines = [
        f"Taught for {facts.get('model', 'a model')}; looks at {plural(len(features), 'feature')}, "
        "most at " + ", ".join(f"{name} ({importance[name]:.0f} %)" for name in ahead),
        f"Drops objects of a predicted IoU below: {limits or 'nothing is dropped'}",
        f"Score of an object: {card.rank}",
    ]
    figures = facts.get("figures")
    if isinstance(figures, dict):
        lines.append(
            f"On {plural(figures['objects'], 'object')} of {plural(figures['images'], 'image')} "
            f"not learnt from: mean absolute error {figures['mae']:.3f}, R2 {figures['r2']:.3f}; "
            f"competition mAP {figures['before']['all']:.4f} before, "
            f"{figures['after'][card.rank]['all']:.4f} with"
        )
    return lines
