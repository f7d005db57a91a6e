"""How many steps fit into the time that a person is willing to wait.

A few steps are timed on this computer, with these images and this network; the number of steps, and
with it the fall of the learning rate, is then made to fit. So "about a quarter of an hour" holds on
a slow laptop as on a workstation: the slow one takes fewer steps.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.core.progress import Monitor
from napari_sartorius.training.finetune_schedule import warmup_of
from napari_sartorius.training.step import arithmetic_of
from napari_sartorius.training.timing import time_step
from napari_sartorius.training.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sartorius.nn.network import Network
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage

FEWEST_STEPS = 40
"""Fewer teach nothing; a computer that is slower than that takes longer than the budget."""

# Share of the time that validation may take; it says when to stop, it does not learn.
_MOST_FOR_VALIDATION = 0.3
_VALIDATIONS = (8, 3)


@dataclass(frozen=True)
class Pace:
    """Seconds that one step and one validation take here."""

    step: float
    validation: float


def measure_pace(
    network: Network,
    config: TrainConfig,
    training: Sequence[AnnotatedImage],
    validation: Sequence[AnnotatedImage],
    monitor: Monitor,
    clock: Callable[[], float] = time.perf_counter,
    step: float | None = None,
) -> Pace:
    """Time a few steps on a network that is thrown away, and the look at one image.

    Parameters
    ----------
    network
        The start in evaluation mode, which looks at an image of `validation`.
    config
        Batch, crop, precision and device of the training.
    training, validation
        Packed images, at least one to train on.
    monitor
        May cancel.
    clock
        Seconds; the processor's own clock measures the work and not what else the computer does.
    step
        Seconds of a step, where they are known: then none is made.
    """
    device, dtype = arithmetic_of(config)
    if step is None:
        step = time_step(config, training, str(device), monitor, clock)
    if not validation:
        return Pace(step, 0.0)
    smallest = min(validation, key=lambda image: image.pixels.size)
    began = clock()
    validate(network, [smallest], Monitor(), device, dtype)
    per_pixel = (clock() - began) / smallest.pixels.size
    return Pace(step, per_pixel * sum(image.pixels.size for image in validation))


def fitted(config: TrainConfig, pace: Pace, seconds: float, other: int = 1) -> TrainConfig:
    """The configuration with as many steps as fit into `seconds`, at most as many as it has.

    The warm-up and the distance of validations shrink along. Validation takes 30 % of the time at
    most, as long as three of them fit.

    Parameters
    ----------
    config
        Its `steps` are those of a computer that is fast enough.
    pace
        As `measure_pace` gives it.
    seconds
        What is left for steps and validations.
    other
        Validations besides those of the schedule: of the start, and of blends of weights.
    """
    most, fewest = _VALIDATIONS
    affordable = int(_MOST_FOR_VALIDATION * seconds / max(pace.validation, 1e-9))
    validations = min(most, max(fewest, affordable))
    left = seconds - (validations + other) * pace.validation
    steps = min(config.steps, max(FEWEST_STEPS, int(left / max(pace.step, 1e-9))))
    if steps >= config.steps and validations == most:
        return config
    every = max(1, -(-steps // validations))
    return config.model_copy(
        update={
            "steps": steps,
            "validate_every": every,
            "checkpoint_every": min(config.checkpoint_every, every),
            "warmup_steps": min(config.warmup_steps, warmup_of(steps)),
        }
    )
