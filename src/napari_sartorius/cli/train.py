"""``napari-sartorius train``: annotated images in, a model out."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.adding import Add, add_model, check_new_name, told_place
from napari_sartorius.cli.config_file import read_config
from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.train_recipe import RecipeOptions, has_recipe, train_by_recipe
from napari_sartorius.cli.training_run import run_training
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig


class Effort(enum.StrEnum):
    """How long a fine-tuning may take."""

    QUICK = "quick"
    THOROUGH = "thorough"


def train(
    data: Annotated[
        Path,
        typer.Option(
            help="COCO JSON (LIVECell's, too), train.csv, DSB folder, folder with pairs of images "
            "and labels; or a project's folder, of which the images that are done are taken."
        ),
    ],
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
        str | None,
        typer.Option(metavar="MODEL", help="Model, or checkpoint, whose weights are the start."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Where to look for images that are not where the annotations say."),
    ] = None,
    effort: Annotated[
        Effort | None,
        typer.Option(
            help="Train the model of --init further, for minutes (quick) or an hour (thorough), "
            "and measure it before and after.",
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="With --effort: annotated images of the kinds that the model knows, to keep it "
            "from forgetting them."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Train as a recipe says: its name (see `recipes list`), or its file.",
        ),
    ] = None,
    pretrain_data: Annotated[
        Path | None,
        typer.Option(help="Annotated images that a recipe learns from first, such as LIVECell."),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Folder with further images, for pseudo-labels.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train as many models, each without one part of the images; 1: one model."
        ),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Only this one, counted from 0, for a cluster.")
    ] = None,
    steps_scale: Annotated[
        float | None, typer.Option(metavar="X", help="Train X times as long as the recipe says.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change a setting of the recipe, such as steps=500 or cells.learning_rate=0.001.",
        ),
    ] = None,
    trial: Annotated[
        bool,
        typer.Option(
            "--trial", help="Go through the recipe in a minute with few images and small networks."
        ),
    ] = False,
    add: Add = None,
) -> None:
    """Train a model on annotated images.

    Progress is kept in checkpoints: a run that was stopped goes on with --resume. The best model
    is written to the folder `model` inside the output folder and can be given to `segment`.
    """
    options = RecipeOptions(
        recipe=recipe,
        pretrain=pretrain_data,
        unlabelled=unlabelled,
        folds=folds,
        fold=fold,
        steps_scale=steps_scale,
        changes=tuple(change or ()),
        trial=trial,
        init=init,
    )

    def work() -> None:
        check_new_name(add)
        if options.wanted or (resume and has_recipe(output)):
            if config is None and effort is not None:
                raise UserError(
                    f"--effort {effort.value} does not go with a recipe, its folds or its changes: "
                    f"give --recipe finetune-{effort.value} instead, which does the same."
                )
            if config is not None:
                raise UserError(
                    "--config does not go with a recipe, its folds or its changes: change single "
                    "settings with --set, or write a recipe (see `recipes show light`)."
                )
            train_by_recipe(_dataset(data, images), images, output, options, resume)
        elif effort is not None:
            _finetune(_dataset(data, images), output, init, effort, resume, replay)
        else:
            _train(data, images, output, config, init, resume)
        add_model(output / "model", None if trial else add)

    run_training(work)


def _train(
    data: Path,
    images: Path | None,
    output: Path,
    config: Path | None,
    init: str | None,
    resume: bool,
) -> None:
    """Train as a configuration says."""
    from napari_sartorius.training.run import train

    with ConsoleMonitor() as monitor:
        dataset = _dataset(data, images)
        settings = _settings(dataset, output, config, resume, init)
        monitor.notice(f"{plural(len(dataset), 'annotated image')} in {data}")
        bundle = train(dataset, output, settings, monitor, resume=resume)
    for metric, value in bundle.card.metrics.items():
        typer.echo(f"{metric}: {value:.4g}")
    typer.echo(told_place(bundle.path))


def _finetune(
    dataset: CocoDataset,
    output: Path,
    init: str | None,
    effort: Effort,
    resume: bool,
    old_data: Path | None,
) -> None:
    from napari_sartorius.training.finetune import finetune
    from napari_sartorius.zoo import find_single

    if init is None:
        raise UserError(
            "--effort trains a model further: name it with --init, for example neurons."
        )
    if not resume and (output / "last.pt").exists():
        raise UserError(f"{output} already holds a run; give --resume or choose another folder.")
    with ConsoleMonitor() as monitor:
        result = finetune(
            find_single(init),
            dataset,
            output,
            effort=effort.value,
            name=output.name,
            old_data=old_data,
            monitor=monitor,
        )
    if result.before is not None:
        typer.echo(f"Score on what was kept apart: {result.before:.4f} before")
    typer.echo(f"Score on what was kept apart: {result.after:.4f} now")
    if not result.improved:
        typer.echo("It is no better than before: more corrected images help most.")
    typer.echo(told_place(result.bundle.path))


def _dataset(data: Path, images: Path | None) -> CocoDataset:
    """Annotated images of any source; of a project those that are done."""
    from napari_sartorius.io.project.chosen import chosen_images
    from napari_sartorius.io.sources import read_dataset

    dataset = read_dataset(data, images)
    if not dataset.images or not dataset.categories:
        raise UserError(f"{data} holds no annotated image: choose other data.")
    is_project = data.is_dir() and isinstance(dataset.info.get("sartorius"), dict)
    return chosen_images(dataset, ("done",)) if is_project else dataset


def _settings(
    dataset: CocoDataset, output: Path, config: Path | None, resume: bool, init: str | None
) -> TrainConfig | None:
    """Build the configuration from the options; None leaves it to the data."""
    from napari_sartorius.training.recipes import default_config
    from napari_sartorius.zoo import find_single
    from napari_sartorius.zoo.checkpoints.partial import describe_checkpoint, is_checkpoint

    earlier = output / "config.json"
    if config is None and resume and earlier.is_file():
        config = earlier
    settings = _read_config(config) if config is not None else None
    if init is None:
        return settings
    if settings is None:
        # The network of the model, so that all of its weights but the last layers fit.
        start = describe_checkpoint(Path(init)) if is_checkpoint(init) else find_single(init).card
        architecture = start.architecture.model_copy(
            update={"num_classes": len(dataset.categories)}
        )
        settings = default_config(dataset).model_copy(
            update={"architecture": architecture, "normalisation": start.normalisation}
        )
    return settings.model_copy(update={"initial_weights": init})


def _read_config(path: Path) -> TrainConfig:
    from napari_sartorius.training.config import TrainConfig

    return read_config(
        path,
        TrainConfig,
        "is not a training configuration",
        "correct it, or start from the config.json of an earlier run.",
    )
