"""A model that has learnt from corrected images: few images, few minutes, never worse than before.

The start is validated too. When training does not improve on it, the start is the result, and
whoever asked is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.nn.build import refuse_untrainable
from napari_sartorius.postprocess.filter_config import unknown_categories
from napari_sartorius.training.config import AugmentConfig, TrainConfig
from napari_sartorius.training.data import pack_dataset, split_dataset
from napari_sartorius.training.doctor.before_training import examine
from napari_sartorius.training.fit import Trainer
from napari_sartorius.training.keep_apart import keep_apart
from napari_sartorius.zoo import CategoryCard, ModelBundle, ModelCard, Thresholds, save_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.fit import FitResult, ValidationEvent
    from napari_sartorius.training.images import AnnotatedImage

Effort = Literal["quick", "thorough"]

_FEW_IMAGES = 5
# Steps, learning rate, steps between validations, validations without gain before it ends.
_SCHEDULES: dict[str, tuple[int, float, int, int]] = {
    "quick": (300, 1e-4, 50, 4),
    "thorough": (2000, 2e-4, 200, 5),
}


@dataclass(frozen=True)
class FineTuned:
    """A finished fine-tuning.

    Attributes
    ----------
    bundle
        The model.
    before, after
        Competition score on the images kept apart, of the start and of the result, 0..1; None
        when the start finds other categories and could not be measured.
    steps, stopped_early
        How long it took.
    """

    bundle: ModelBundle
    before: float | None
    after: float
    steps: int
    stopped_early: bool

    @property
    def improved(self) -> bool:
        """Whether the result is better than the start."""
        return self.before is None or self.after > self.before


def finetune_config(card: ModelCard, category_names: list[str], effort: Effort) -> TrainConfig:
    """Schedule for a model and an effort: the model's network with a class for each category."""
    steps, rate, every, patience = _SCHEDULES[effort]
    architecture = card.architecture.model_copy(update={"num_classes": len(category_names)})
    return TrainConfig(
        architecture=architecture,
        normalisation=card.normalisation,
        augment=AugmentConfig(scale=(0.8, 1.25)),
        batch_size=4,
        steps=steps,
        learning_rate=rate,
        warmup_steps=min(50, steps // 6),
        ema=0.98 if effort == "quick" else 0.995,
        balance="image",
        train_split=None,
        validate_every=every,
        patience=patience,
        # One kind of cell is one kind of cell, whatever it is called.
        validate_first=card.category_names == category_names
        or len(card.categories) == len(category_names) == 1,
        checkpoint_every=every,
    )


def finetune(
    start: ModelBundle,
    dataset: CocoDataset,
    folder: Path,
    *,
    effort: Effort = "quick",
    name: str = "fine-tuned",
    config: TrainConfig | None = None,
    monitor: Monitor | None = None,
    on_validated: Callable[[ValidationEvent], None] | None = None,
) -> FineTuned:
    """Train a model further on corrected images.

    Parameters
    ----------
    start
        The model to start from.
    dataset
        Corrected images; all cells of an image must be there, what is missing is learnt as
        background. With fewer than five images a strip of each is kept apart for validation.
    folder
        Run folder; a run that was killed goes on when started again. The model is made in its
        folder ``model``.
    effort
        ``quick`` for minutes, ``thorough`` for an hour or so.
    name
        Of the model.
    config
        The whole configuration instead of that of `effort`.
    monitor
        Progress, notices, cancel.
    on_validated
        Called after each validation, as by `Trainer`.

    Raises
    ------
    UserError
        When there is nothing to learn from, or an image cannot be read.
    """
    monitor = monitor or Monitor()
    if not len(dataset) or not dataset.object_count:
        raise UserError(
            "there is no corrected image to learn from: mark images as done first, or choose others"
        )
    config = config or finetune_config(start.card, dataset.category_names, effort)
    refuse_untrainable(config.architecture)
    examine(
        dataset,
        monitor,
        model_diameter=start.card.cell_diameter,
        sides=(config.train_split, config.validation_split),
    )
    training, validation = _prepared(dataset, config, monitor)
    initial = dict(start.load_network().state_dict())
    trainer = Trainer(
        config, training, validation, folder, monitor, initial, on_validated=on_validated
    )
    if trainer.resume():
        monitor.notice(f"resumed at step {trainer.progress.step} of {config.steps}")
    result = trainer.fit()
    rows = trainer.progress.rows
    before = rows[0].get("score") if config.validate_first and rows else None
    best = next((row for row in reversed(rows) if row["step"] == result.best_step), {})
    card = _card(start.card, name, dataset, training, config, result, before, best)
    weights = torch.load(result.best, map_location="cpu", weights_only=True)
    bundle = save_bundle(folder / "model", card, weights)
    return FineTuned(bundle, before, best.get("score", 0.0), result.steps, result.stopped_early)


def in_terms_of(dataset: CocoDataset, names: list[str]) -> CocoDataset:
    """The same objects with the categories of a model where it has all that occur.

    Categories of which there is no object teach nothing; a model that is trained further keeps its
    own, so that its last layers need not begin anew.

    Parameters
    ----------
    dataset
        Corrected images.
    names
        The model's categories in order.
    """
    used = {
        dataset.category_names[number]
        for instances in dataset.instances.values()
        for number in np.unique(instances.categories).tolist()
    }
    by_name = {category.name: category for category in dataset.categories}
    if used <= set(names):
        wanted = names
    else:
        wanted = [name for name in dataset.category_names if name in used]
    kinds = [
        by_name.get(name) or Category(1000 + n, name, default_colour(n))
        for n, name in enumerate(wanted)
    ]
    place = np.array([wanted.index(n) if n in wanted else -1 for n in dataset.category_names])
    instances = {
        key: replace(one, categories=place[one.categories])
        for key, one in dataset.instances.items()
    }
    return replace(dataset, categories=kinds, instances=instances)


def _prepared(
    dataset: CocoDataset, config: TrainConfig, monitor: Monitor
) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    if len(dataset) < _FEW_IMAGES:
        monitor.notice(
            f"{len(dataset)} images: a quarter of each is kept apart to measure the result; five "
            "or more images measure it better"
        )
        return keep_apart(pack_dataset(dataset, config, monitor))
    parts = split_dataset(dataset, config, monitor)
    return (
        pack_dataset(parts[0], config, monitor),
        pack_dataset(parts[1], config, monitor, config.validate_images),
    )


def _card(
    start: ModelCard,
    name: str,
    dataset: CocoDataset,
    training: list[AnnotatedImage],
    config: TrainConfig,
    result: FitResult,
    before: float | None,
    best: dict[str, float],
) -> ModelCard:
    """The start's card with what is new."""
    names = dataset.category_names
    cells = sum(len(image.masks) for image in training)
    areas = np.concatenate([image.masks.area() for image in training])
    metrics = {"validation": round(best.get("score", 0.0), 4)}
    if before is not None:
        metrics["validation before"] = round(before, 4)
    changes: dict[str, Any] = {
        "name": name,
        "title": name,
        "description": f"{start.title}, trained further on {len(dataset)} corrected images.",
        "categories": tuple(
            CategoryCard(name=category.name, colour=category.colour)
            for category in dataset.categories
        ),
        "cell_diameter": round(float(np.sqrt(np.median(areas) * 4 / np.pi)), 1),
        "architecture": config.architecture.model_dump(mode="json"),
        "thresholds": {
            one: start.thresholds_of(one).model_copy(
                update={"score": best[f"threshold_{i}"]} if f"threshold_{i}" in best else {}
            )
            if one in start.category_names
            else Thresholds(score=best.get(f"threshold_{i}", 0.5))
            for i, one in enumerate(names)
        },
        "licence": start.licence,
        "training_data": f"{len(dataset)} corrected images with {cells} cells; before that: "
        f"{start.training_data}",
        "schedule": f"{result.best_step} of {config.steps} steps of {config.batch_size} crops",
        "metrics": metrics,
        "metrics_command": "",
        "known_failures": (),
        "parent": start.name,
        "sha256": "",
        # A second level has judged another network, and filters may speak of other categories.
        "rescorer": None,
        "filters": () if unknown_categories(start.filters, names) else start.filters,
    }
    return start.with_changes(**changes)
