"""Schedules of fine-tuning: how many steps, at which rate, in which time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_sartorius.training.augment.config import AugmentConfig
from napari_sartorius.training.config import FreezeConfig, ReplayConfig, TrainConfig
from napari_sartorius.training.finetune_limits import BUDGETS, Effort
from napari_sartorius.training.terms import knows_the_first

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_sartorius.zoo import ModelCard

__all__ = ["BUDGETS", "SCHEDULES", "Effort", "Schedule", "finetune_config", "in_proportion"]


class Schedule(NamedTuple):
    """Most steps, learning rate, validations, validations without gain before it ends, EMA."""

    steps: int
    rate: float
    validations: int
    patience: int
    ema: float


SCHEDULES: dict[str, Schedule] = {
    "quick": Schedule(steps=300, rate=2e-4, validations=6, patience=4, ema=0.98),
    "thorough": Schedule(steps=1500, rate=2e-4, validations=10, patience=5, ema=0.995),
}

_LONGEST_WARMUP = 50


def finetune_config(
    card: ModelCard, category_names: Sequence[str], effort: Effort, scale: float = 1.0
) -> TrainConfig:
    """Configuration for a model and an effort: the model's network with a class per category.

    The steps are those of a fast computer, `scale` times as many as is usual;
    `napari_sartorius.training.pace.fitted` takes as many as fit into the time.
    """
    names = list(category_names)
    schedule = SCHEDULES[effort]
    schedule = schedule._replace(steps=max(1, round(scale * schedule.steps)))
    architecture = card.architecture.model_copy(update={"num_classes": len(names)})
    every = _validate_every(schedule.steps, schedule.validations)
    return TrainConfig(
        architecture=architecture,
        normalisation=card.normalisation,
        augment=AugmentConfig(scale=(0.8, 1.25)),
        batch_size=4,
        steps=schedule.steps,
        learning_rate=schedule.rate,
        warmup_steps=warmup_of(schedule.steps),
        ema=schedule.ema,
        balance="image",
        train_split=None,
        validate_every=every,
        patience=schedule.patience,
        validate_first=knows_the_first(card.category_names, names),
        checkpoint_every=every,
        # With the statistics of a few new crops a network loses its old kinds at once.
        freeze=FreezeConfig(statistics=True),
        replay=ReplayConfig(),
    )


def in_proportion(made: TrainConfig, usual: TrainConfig, stated: Collection[str]) -> TrainConfig:
    """The schedule that a number of steps calls for, where somebody states another than is usual.

    It warms up as long and is validated as many times as the effort with so many steps would, and
    is never kept on the disk less often than that.

    Parameters
    ----------
    made
        With the steps that are stated.
    usual
        As `finetune_config` gives it for the effort.
    stated
        Fields of `made` that somebody chose; these stay.
    """
    if made.steps == usual.steps:
        return made
    every = _validate_every(made.steps, usual.steps // usual.validate_every)
    lengths = {
        "warmup_steps": warmup_of(made.steps),
        "validate_every": every,
        "checkpoint_every": min(usual.checkpoint_every, every),
    }
    return made.model_copy(update={name: n for name, n in lengths.items() if name not in stated})


def warmup_of(steps: int) -> int:
    """Steps of so many in which the learning rate rises: a sixth, at most 50."""
    return min(_LONGEST_WARMUP, max(1, steps // 6))


def _validate_every(steps: int, validations: int) -> int:
    """Steps between so many validations, of which the last one is at the end."""
    return max(1, steps // max(1, validations))
