"""From a stage of a recipe and the images it gets to the configuration of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.mixture import constant_share, counted_share, linear_share
from napari_sartorius.training.recipes.architectures import light_architecture
from napari_sartorius.training.recipes.reading import first_fault, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_sartorius.training.recipes.parts import Epochs, Mixture
    from napari_sartorius.training.recipes.schema import Recipe, TrainStage
    from napari_sartorius.zoo import ModelCard
    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork

Config = TypeVar("Config", bound=BaseModel)


def train_config(
    recipe: Recipe,
    stage: TrainStage,
    classes: int,
    images: int,
    start: ModelCard | ImportedNetwork | None = None,
    processes: int = 1,
) -> TrainConfig:
    """The configuration of a stage ``train``.

    Parameters
    ----------
    recipe, stage
        Settings of the stage are believed before those of the recipe.
    classes
        Categories of the stage's images.
    images
        Training images, which tell how long an epoch is.
    start
        Whose network is taken where the recipe names none.
    processes
        That share the training; each sees a batch of its own, so that an epoch is shorter.

    Raises
    ------
    UserError
        Naming the first wrong setting.
    """
    tree = settings_of(recipe, stage, start)
    tree["architecture"]["num_classes"] = classes
    if stage.epochs is not None:
        tree |= in_steps(stage.epochs, tree, images, processes)
    return checked(TrainConfig, tree, stage.name)


def settings_of(
    recipe: Recipe, stage: TrainStage, start: ModelCard | ImportedNetwork | None = None
) -> dict[str, Any]:
    """The settings of a stage, with those of the recipe and a network where neither names one."""
    tree = merged(recipe.settings, stage.settings)
    if "family" not in tree.get("architecture", {}):
        whole = light_architecture(2) if start is None else start.architecture
        tree["architecture"] = merged(whole.model_dump(mode="json"), tree.get("architecture", {}))
        if start is not None:
            tree.setdefault("normalisation", start.normalisation)
    return tree


def checked(kind: type[Config], settings: Mapping[str, Any], stage: str) -> Config:
    """A configuration made of the settings of a stage.

    Raises
    ------
    UserError
        Naming the stage and the first wrong setting.
    """
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        raise UserError(
            f"the stage {stage} of the recipe cannot run: {first_fault(error)}"
        ) from error


def steps_of_epoch(settings: Mapping[str, Any], images: int, processes: int = 1) -> float:
    """Steps in which so many processes together see as many crops as there are images."""
    crops = settings.get("batch_size", 4) * settings.get("accumulate", 1) * processes
    return images / float(crops)


def in_steps(
    epochs: Epochs, tree: Mapping[str, Any], images: int, processes: int = 1
) -> dict[str, Any]:
    """The settings that say how long a run is, from a schedule in passes over so many images."""
    per_epoch = steps_of_epoch(tree, images, processes)
    steps = max(1, round(epochs.total * per_epoch))
    every = max(1, min(steps, round(epochs.validate_every * per_epoch)))
    return {
        "steps": steps,
        "warmup_steps": round(steps * epochs.warmup),
        "decay_steps": tuple(max(1, round(epoch * per_epoch)) for epoch in epochs.decay),
        "validate_every": every,
        "checkpoint_every": min(every, tree.get("checkpoint_every", 100)),
    }


def share_of(
    mixture: Mixture, config: TrainConfig, own: int, further: int, processes: int = 1
) -> Callable[[int], float] | None:
    """The share of further images at each step; None for as many as there are.

    Parameters
    ----------
    mixture
        What the recipe says.
    config
        Of the run.
    own, further
        Images of the two sets.
    processes
        As for `train_config`.
    """
    if mixture.decay == "counts":
        settings = config.model_dump(include={"batch_size", "accumulate"})
        per_epoch = steps_of_epoch(settings, own, processes)
        epochs = max(1, round(config.steps / per_epoch))
        return counted_share(epochs, config.steps, own, further, mixture.most)
    if mixture.share is None:
        return None
    if mixture.decay == "linear":
        return linear_share(mixture.share, config.steps, mixture.until)
    return constant_share(mixture.share)
