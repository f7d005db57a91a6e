"""Where the weights come from that a stage begins with: a stage, a model that is here, a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.training.recipes.schema import STAGE
from napari_sartorius.zoo import find_single
from napari_sartorius.zoo.bundle import ModelBundle, single
from napari_sartorius.zoo.checkpoints.partial import describe_checkpoint, is_checkpoint
from napari_sartorius.zoo.published import published_model

if TYPE_CHECKING:
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.training.recipes.schema import TrainStage
    from napari_sartorius.training.recipes.stages import StageRunner
    from napari_sartorius.zoo import ModelCard
    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork


def start_of(runner: StageRunner, stage: TrainStage, monitor: Monitor) -> ModelBundle | str | None:
    """The model or the path of a checkpoint to start from; None begins at random.

    A stage that was left out hands on what it would have started from itself.

    Raises
    ------
    UserError
        When the model is not here.
    """
    name = stage.init
    while name is not None and name.startswith(STAGE):
        earlier = name.removeprefix(STAGE)
        bundle = runner.bundle(name)
        if bundle is not None:
            monitor.notice(f"starts from what the stage {earlier} has learnt")
            return single(bundle)
        name = runner.recipe.stage(earlier).init
    if runner.init is not None:
        name = None if runner.init == "none" else runner.init
    elif runner.recipe.trial and name is not None:
        monitor.notice(f"a trial begins at random, not from {name}")
        return None
    return None if name is None else _outside(name)


def described(start: ModelBundle | str | None) -> ModelCard | ImportedNetwork | None:
    """What is known of the network of a start."""
    if isinstance(start, str):
        return describe_checkpoint(Path(start))
    return None if start is None else start.card


def _outside(name: str) -> ModelBundle | str:
    """A model that is here, or the path of a checkpoint."""
    if is_checkpoint(name):
        return name
    try:
        return find_single(name)
    except UserError as error:
        if published_model(name) is None:
            raise
        raise UserError(
            f"the recipe begins with the model {name}, which is not on this computer: get it with "
            f"'napari-sartorius models download {name}', or give another start with --init, or "
            "--init none to begin at random"
        ) from error
