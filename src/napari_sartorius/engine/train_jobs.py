"""The job of the Train tab: a model learns from the corrected images of a project."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_folder
from napari_sartorius.io.project import project_dataset
from napari_sartorius.training.run_files import STOP_FILE
from napari_sartorius.zoo import find_single, list_bundles, user_models_folder

if TYPE_CHECKING:
    from napari_sartorius.engine.context import WorkerContext
    from napari_sartorius.io.coco import CocoDataset, CocoImage


@dataclass(frozen=True)
class TrainedModel:
    """What came out of a fine-tuning.

    Attributes
    ----------
    name
        Of the new model, which is in the list now; None when the start was better.
    before, after
        Competition score on what was kept apart, 0..1; `before` is None when the start finds other
        categories.
    steps
        Steps done.
    """

    name: str | None
    before: float | None
    after: float
    steps: int


@dataclass(frozen=True)
class FineTuneJob:
    """Train a model further on a project's images; returns a `TrainedModel`.

    Attributes
    ----------
    project
        The project's folder.
    folder
        The run's folder: checkpoints, ``curve.csv``, the finished model. A run that was killed goes
        on when the same job is given again.
    model
        Name of the model to start from.
    name
        Of the new model.
    effort
        ``quick`` or ``thorough``.
    statuses
        Which images are learnt from.
    device
        As in `SegmentConfig`.
    """

    project: Path
    folder: Path
    model: str
    name: str
    effort: Literal["quick", "thorough"] = "quick"
    statuses: tuple[str, ...] = ("done",)
    device: str = "auto"

    def run(self, context: WorkerContext) -> TrainedModel:
        """Train, and put the model where the others are when it is better than its start."""
        from napari_sartorius.training.finetune import finetune

        if self.name in {bundle.card.name for bundle in list_bundles()}:
            raise UserError(f"there is a model called {self.name} already: choose another name.")
        context.cache.clear()
        start = find_single(self.model)
        dataset = chosen_images(project_dataset(self.project), self.statuses)
        (self.folder / STOP_FILE).unlink(missing_ok=True)
        result = finetune(
            start,
            dataset,
            self.folder,
            effort=self.effort,
            name=self.name,
            device=self.device,
            monitor=context.monitor,
        )
        if not result.improved:
            return TrainedModel(None, result.before, result.after, result.steps)
        with atomic_folder(user_models_folder() / self.name) as place:
            shutil.copytree(result.bundle.path, place, dirs_exist_ok=True)
        return TrainedModel(self.name, result.before, result.after, result.steps)


def chosen_images(dataset: CocoDataset, statuses: tuple[str, ...]) -> CocoDataset:
    """Images of a project with one of these statuses."""

    def is_chosen(image: CocoImage) -> bool:
        noted = image.extra.get("sartorius", {})
        return isinstance(noted, dict) and noted.get("status", "new") in statuses

    return dataset.select(is_chosen)
