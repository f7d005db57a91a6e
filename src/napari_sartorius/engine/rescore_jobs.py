"""The job that teaches a model's second level, for the worker process and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.io.coco import read_coco
from napari_sartorius.training.rescoring.figures import RescoreFigures
from napari_sartorius.zoo import find_bundle
from napari_sartorius.zoo.manage import check_free_name
from napari_sartorius.zoo.rescorer_files import check_can_take_rescorer

if TYPE_CHECKING:
    from napari_sartorius.engine.context import WorkerContext


@dataclass(frozen=True)
class RescoredModel:
    """A model that has a second level now.

    Attributes
    ----------
    name
        Its name.
    path
        Its folder.
    figures
        Of objects in images that were not learnt from.
    rank
        What becomes the score of its objects.
    """

    name: str
    path: Path
    figures: RescoreFigures
    rank: str


@dataclass(frozen=True)
class TeachRescorerJob:
    """Teach a model's second level from annotated images; returns a `RescoredModel`.

    Attributes
    ----------
    model
        Name or path of the model.
    data
        COCO file.
    name
        Of a copy of the model that gets the rescorer; None puts it into the model itself.
    split
        Images of the file that are used; None takes all.
    folder
        Run folder, see `teach_rescorer`; None leaves nothing behind.
    options
        Fields of `training.rescoring.config.RescoreConfig` that differ from its defaults.
    """

    model: str
    data: Path
    name: str | None = None
    split: str | None = "val"
    folder: Path | None = None
    options: dict[str, object] = field(default_factory=dict)

    def run(self, context: WorkerContext) -> RescoredModel:
        """Segment, learn, and write, wholly or not at all."""
        from napari_sartorius.training.held_out import choose_images
        from napari_sartorius.training.rescoring.config import RescoreConfig
        from napari_sartorius.training.rescoring.fitting import teach_rescorer

        config = RescoreConfig.model_validate(self.options)
        bundle = find_bundle(self.model)
        # What cannot be written in the end is better refused at the start.
        if self.name is None:
            check_can_take_rescorer(bundle)
        else:
            check_free_name(self.name)
        dataset = choose_images(read_coco(self.data), self.split, context.monitor)
        taught = teach_rescorer(bundle, dataset, config, context.monitor, self.folder)
        context.monitor.check()
        saved = taught.save(bundle, self.name)
        return RescoredModel(saved.card.name, saved.path, taught.figures, config.rank)
