"""The stages of a recipe one after the other, and which of their models is the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.training.recipes.made import copied
from napari_sartorius.training.run_files import MODEL_FOLDER
from napari_sartorius.zoo import open_bundle
from napari_sartorius.zoo.bundle import ModelBundle
from napari_sartorius.zoo.naming import model_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.training.recipes.made import Made
    from napari_sartorius.training.recipes.schema import Recipe, Stage
    from napari_sartorius.training.recipes.stages import StageRunner
    from napari_sartorius.zoo import AnyBundle

# How long stages of a kind take, for the progress.
_WEIGHTS = {"train": 10.0, "finetune": 10.0, "classifier": 3.0}


def run_stages(
    runner: StageRunner, stages: Sequence[Stage], monitor: Monitor, prefix: str = ""
) -> list[Made]:
    """What the stages have made, those left out excepted."""
    weights = [_WEIGHTS.get(stage.kind, 1.0) for stage in stages]
    done, total = 0.0, sum(weights) or 1.0
    result = []
    for stage, weight in zip(stages, weights, strict=True):
        monitor.check()
        part = SubMonitor(
            monitor, done / total, min(1.0, (done + weight) / total), f"{prefix}{stage.name}: "
        )
        done += weight
        made = runner.run(stage, part)
        if made is not None:
            result.append(made)
    return result


def result_of(made: Sequence[Made], recipe: Recipe, folder: Path, name: str) -> AnyBundle:
    """The last model that finds objects, under a name of its own in the folder ``model``."""
    if (folder / MODEL_FOLDER / "model.json").is_file():
        return open_bundle(folder / MODEL_FOLDER)
    models = [one.bundle for one in made if one.bundle is not None]
    detectors = [one for one in models if not _is_classifier(one)]
    if not detectors and models:
        detectors = models
    if not detectors:
        raise UserError(f"no stage of the recipe {recipe.name} could run, so there is no model")
    return copied(detectors[-1], folder / MODEL_FOLDER, name)


def label_of(folder: Path) -> str:
    """A name that a model may have, from that of its run folder."""
    return model_name(folder.name)


def _is_classifier(bundle: AnyBundle) -> bool:
    return isinstance(bundle, ModelBundle) and bundle.card.is_classifier
