"""The one call that trains: annotated images in, a model bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import plural
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.nn.build import build_network, refuse_untrainable
from napari_sartorius.training.data import pack_dataset, train_and_validation
from napari_sartorius.training.doctor.before_training import examine
from napari_sartorius.training.images import sampling_weights
from napari_sartorius.training.joint_trainer import joint_trainer
from napari_sartorius.training.last_layers import without_last_layers
from napari_sartorius.training.leading import by_the_first
from napari_sartorius.training.mixture import MixtureSampling
from napari_sartorius.training.recipes import default_config
from napari_sartorius.training.recipes.fingerprint import hold_to_images
from napari_sartorius.training.resizing import resized
from napari_sartorius.training.run_files import LAST_FILE
from napari_sartorius.training.terms import same_kinds
from napari_sartorius.training.untaught import tell_untaught
from napari_sartorius.zoo import CategoryCard, ModelCard, Thresholds, find_single, save_bundle
from napari_sartorius.zoo.checkpoints.partial import fit_partially, is_checkpoint
from napari_sartorius.zoo.naming import model_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.fit import Trainer
    from napari_sartorius.training.fit_results import FitResult
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.training.mixture import FurtherImages
    from napari_sartorius.zoo import InputSize, ModelBundle


@by_the_first
def train(
    data: Path | CocoDataset,
    folder: Path,
    config: TrainConfig | None = None,
    monitor: Monitor | None = None,
    resume: bool = True,
    *,
    further: Sequence[FurtherImages] = (),
    input_size: InputSize | None = None,
    card: Mapping[str, Any] | None = None,
) -> ModelBundle:
    """Train on annotated images and write the best weights as a bundle.

    Parameters
    ----------
    data
        Annotated images, or where `read_dataset` finds them. They are looked at first: what no
        training should begin with is an error, what will make the model worse a notice.
    folder
        Run folder: configuration, checkpoints, ``curve.csv`` and the finished bundle ``model``.
        A run that was killed continues from its last checkpoint when started again.
    config
        The whole configuration; `default_config` when None.
    monitor
        Progress, notices, cancel.
    resume
        False refuses a folder that already holds a run.
    further
        Images that are learnt from besides; they validate nothing.
    input_size
        The size that images are brought to before crops are taken, in the card of the model, too.
    card
        Fields of the model's card that the caller knows better.

    Raises
    ------
    UserError
        When the data cannot be read, does not fit the configuration, the folder is taken, or its
        run began with other images.
    """
    monitor = monitor or Monitor()
    dataset = read_dataset(data) if isinstance(data, Path) else data
    config = config or default_config(dataset)
    refuse_untrainable(config.architecture)
    if config.architecture.num_classes != len(dataset.categories):
        raise UserError(
            f"the data has {plural(len(dataset.categories), 'category', 'categories')}, the "
            f"configured network {plural(config.architecture.num_classes, 'class', 'classes')}; "
            "set architecture.num_classes"
        )
    if not resume and (folder / LAST_FILE).exists():
        raise UserError(f"{folder} already holds a run; resume it or choose another folder")
    examine(dataset, monitor, sides=(config.train_split, config.validation_split))
    hold_to_images(folder, (folder / LAST_FILE).exists(), target=dataset)
    training, validation = train_and_validation(dataset, config, monitor)
    more = [pack_dataset(one.dataset, config, monitor) for one in further]
    tell_untaught(dataset, [image for images in (training, *more) for image in images], monitor)
    if input_size is not None:
        training, validation, *more = (
            [resized(image, input_size) for image in images]
            for images in (training, validation, *more)
        )
    initial = _initial_weights(config, dataset.category_names, monitor)
    trainer = joint_trainer(
        config,
        [*training, *(image for images in more for image in images)],
        validation,
        folder,
        monitor,
        initial,
        _sampling(config, training, further) if further else None,
    )
    if trainer.resume():
        monitor.notice(f"resumed at step {trainer.progress.step} of {config.steps}")
    result = trainer.fit()
    made = _card(folder.name or "model", config, dataset, training, trainer, result)
    made = made.with_changes(**({"input_size": input_size} | dict(card or {})))
    weights = torch.load(result.best, map_location="cpu", weights_only=True)
    return save_bundle(folder / "model", made, weights)


def _sampling(
    config: TrainConfig, training: list[AnnotatedImage], further: Sequence[FurtherImages]
) -> MixtureSampling:
    own = sampling_weights(
        training, config.balance, config.balance_field, config.architecture.num_classes
    )
    return MixtureSampling(own, [(len(one.dataset), one.share) for one in further])


def _initial_weights(
    config: TrainConfig, names: list[str], monitor: Monitor
) -> dict[str, Tensor] | None:
    """Weights by our names to start from; what does not fit is left out, and the user is told."""
    if config.initial_weights is None:
        return None
    if not is_checkpoint(config.initial_weights):
        bundle = find_single(config.initial_weights)
        weights = dict(bundle.load_network().state_dict())
        if not same_kinds(bundle.card.category_names, names):
            weights, sentence = without_last_layers(weights, config.architecture)
            monitor.notice(sentence)
        return weights
    with torch.device("meta"):
        wanted = build_network(config.architecture).state_dict()
    fit = fit_partially(Path(config.initial_weights), wanted)
    for line in fit.lines():
        monitor.notice(line)
    return fit.values


def _card(
    name: str,
    config: TrainConfig,
    dataset: CocoDataset,
    training: list[AnnotatedImage],
    trainer: Trainer,
    result: FitResult,
) -> ModelCard:
    """Card of a finished run: what was trained on what, and how well it did."""
    best = trainer.progress.row_of_best()
    names = dataset.category_names
    thresholds = {
        names[i]: Thresholds(score=best[f"threshold_{i}"])
        for i in range(len(names))
        if f"threshold_{i}" in best
    }
    metrics = {
        f"validation {names[i]}": round(best[f"score_{i}"], 4)
        for i in range(len(names))
        if f"score_{i}" in best
    }
    if "score" in best:
        metrics["validation"] = round(best["score"], 4)
    areas = np.concatenate([image.masks.area() for image in training])
    diameter = float(np.sqrt(np.median(areas) * 4 / np.pi)) if len(areas) else 16.0
    return ModelCard(
        name=model_name(name),
        title=name,
        description=f"Trained on {plural(len(training), 'image')} with "
        f"{plural(len(areas), 'object')}.",
        categories=tuple(
            CategoryCard(name=category.name, colour=category.colour)
            for category in dataset.categories
        ),
        cell_diameter=round(diameter, 1),
        architecture=config.architecture.model_dump(mode="json"),
        normalisation=config.normalisation,
        thresholds=thresholds,
        one_category_per_image=_one_category_per_image(training),
        licence="as its training data",
        training_data=plural(len(training), "image"),
        schedule=f"{result.best_step} of {plural(config.steps, 'step')} of "
        f"{plural(config.batch_size, 'crop')}",
        metrics=metrics,
        parent=_parent(config.initial_weights),
    )


def _parent(initial: str | None) -> str | None:
    """What a card may say of the start: a checkpoint's name without its place on this disk."""
    return Path(initial).name if initial is not None and is_checkpoint(initial) else initial


def _one_category_per_image(images: list[AnnotatedImage]) -> bool:
    return all(len(np.unique(image.categories)) <= 1 for image in images)
