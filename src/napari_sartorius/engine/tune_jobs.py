"""The job that tunes a model's thresholds, for the worker process and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.io.coco import read_coco
from napari_sartorius.training.tuning.figures import TuningFigures
from napari_sartorius.zoo import find_bundle
from napari_sartorius.zoo.changed_files import check_can_change
from napari_sartorius.zoo.manage import check_free_name

if TYPE_CHECKING:
    from napari_sartorius.engine.context import WorkerContext


@dataclass(frozen=True)
class TunedModel:
    """What became of a model that was tuned.

    Attributes
    ----------
    name
        Of the model that has the thresholds now.
    path
        Its folder; None where no category did better, and nothing was written.
    figures
        Of images that were not tuned on.
    """

    name: str
    path: Path | None
    figures: TuningFigures


@dataclass(frozen=True)
class TuneJob:
    """Tune a model's thresholds on annotated images; returns a `TunedModel`.

    Attributes
    ----------
    model
        Name or path of the model.
    data
        COCO file.
    name
        Of a copy of the model that gets the thresholds; None changes the model itself.
    split
        Images of the file that are used; None takes all.
    options
        Fields of `training.tuning.config.TuningConfig` that differ from its defaults.
    cache
        Folder for what networks find; the user's cache when None.
    """

    model: str
    data: Path
    name: str | None = None
    split: str | None = "val"
    options: dict[str, object] = field(default_factory=dict)
    cache: Path | None = None

    def run(self, context: WorkerContext) -> TunedModel:
        """Segment, search, and write, wholly or not at all."""
        from napari_sartorius.training.held_out import choose_images
        from napari_sartorius.training.tuning.config import TuningConfig
        from napari_sartorius.training.tuning.tuning import NEWS, tune

        config = TuningConfig.model_validate(self.options)
        bundle = find_bundle(self.model)
        # What cannot be written in the end is better refused at the start.
        if self.name is None:
            check_can_change(bundle, NEWS)
        else:
            check_free_name(self.name)
        monitor = context.monitor
        harm = "thresholds suit those images better than new ones"
        dataset = choose_images(read_coco(self.data), self.split, monitor, harm)
        result = tune(bundle, dataset, config, monitor, cache=self.cache)
        monitor.check()
        if not result.figures.is_changed:
            return TunedModel(bundle.card.name, None, result.figures)
        saved = result.save(self.name)
        return TunedModel(saved.card.name, saved.path, result.figures)
