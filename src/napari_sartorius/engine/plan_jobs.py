"""What the Train tab asks before a run: the plan, how long it takes, what the network will see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.train_jobs import FineTuneJob
from napari_sartorius.training.data import pack_dataset, sides_sparing_few
from napari_sartorius.training.finetune_limits import FEW_IMAGES
from napari_sartorius.training.keep_apart import keep_apart
from napari_sartorius.training.plan import TrainingPlan, make_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.engine.context import WorkerContext
    from napari_sartorius.io.coco_dataset import CocoDataset
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.zoo import ModelBundle

_LOOKED_AT = 4  # images that crops are cut from, so that a large dataset is not read for them


@dataclass(frozen=True)
class PlannedTraining:
    """A plan, and where it would run.

    Attributes
    ----------
    plan
        What would be done.
    device
        As torch names it.
    seconds_per_step
        As an earlier run has shown; None when there was none.
    budget
        Seconds in which all shall be done, with fewer steps if need be; None when it takes the time
        that it takes.
    """

    plan: TrainingPlan
    device: str
    seconds_per_step: float | None
    budget: float | None = None


@dataclass(frozen=True)
class PlanJob:
    """Plan a training without beginning it; returns a `PlannedTraining`."""

    training: FineTuneJob

    def run(self, context: WorkerContext) -> PlannedTraining:
        """Read the annotations and count."""
        from napari_sartorius.inference.device import choose_device
        from napari_sartorius.training.step_times import known_seconds, step_key
        from napari_sartorius.training.terms import kinds_alike_in_words, kinds_in_words

        asked = self.training.asked()
        start, dataset, config = self.training.prepared(self.training.dataset(), asked)
        plan = make_plan(
            dataset,
            config,
            model_diameter=start.card.cell_diameter,
            few_images=FEW_IMAGES,
            monitor=context.monitor,
        )
        told = kinds_in_words(start.card.name, start.card.category_names, dataset.category_names)
        plan = replace(
            plan,
            warnings=(*kinds_alike_in_words(dataset.category_names), *plan.warnings),
            notes=(*self.training.left_out(start, asked), *told, *plan.notes),
        )
        device = choose_device(config.device).device
        seconds = known_seconds(step_key(config, device))
        return PlannedTraining(plan, device, seconds, self.training.budget(asked))


def _prepared(training: FineTuneJob) -> tuple[ModelBundle, CocoDataset, TrainConfig]:
    return training.prepared(training.dataset(), training.asked())


@dataclass(frozen=True)
class TimeStepJob:
    """Time a few steps of a training; returns seconds per step, which are remembered."""

    training: FineTuneJob

    def run(self, context: WorkerContext) -> float:
        """Make two steps that change nothing."""
        from napari_sartorius.inference.device import choose_device
        from napari_sartorius.training.step_times import remember_seconds, step_key
        from napari_sartorius.training.timing import time_step

        _, dataset, config = _prepared(self.training)
        device = choose_device(config.device).device
        images = training_images(dataset, config, context.monitor)
        seconds = time_step(config, images, device, context.monitor)
        remember_seconds(step_key(config, device), seconds)
        return seconds


@dataclass(frozen=True)
class PreviewJob:
    """Crops as the network will see them, with true outlines; returns pictures (S, S, 3) uint8.

    Attributes
    ----------
    training
        The training that they are of.
    count
        Number of pictures.
    seed
        Another one gives other pictures.
    """

    training: FineTuneJob
    count: int = 8
    seed: int = 0

    def run(self, context: WorkerContext) -> list[NDArray[np.uint8]]:
        """Draw some crops."""
        from napari_sartorius.training.augment.preview import preview_crops
        from napari_sartorius.training.pictures import draw_truth

        _, dataset, config = _prepared(self.training)
        images = training_images(dataset, config, context.monitor, self.seed)
        crops: list[Any] = preview_crops(images, config, self.count, self.seed)
        return [draw_truth(crop.pixels, crop.labels) for crop in crops]


def training_images(
    dataset: CocoDataset, config: TrainConfig, monitor: Monitor, seed: int = 0
) -> list[AnnotatedImage]:
    """A few packed images of those that are trained on, preferably with cells.

    Raises
    ------
    UserError
        When there are none, or one cannot be read.
    """
    sides = sides_sparing_few(dataset, config, monitor, FEW_IMAGES)
    part = sides.training
    filled = [image.id for image in part.images if len(part.instances[image.id])]
    if not filled:
        raise UserError("There is no annotated cell to learn from: outline some cells.")
    count = min(_LOOKED_AT, len(filled))
    places = np.random.default_rng(seed).choice(len(filled), count, replace=False)
    chosen = {filled[place] for place in places.tolist()}
    packed = pack_dataset(part.select(lambda image: image.id in chosen), config, monitor)
    return keep_apart(packed)[0] if sides.strips else packed
