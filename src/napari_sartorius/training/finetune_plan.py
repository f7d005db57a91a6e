"""What a fine-tuning decides before its first step, kept in its folder for when it is resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.atomic import write_text
from napari_sartorius.training.pace import fitted, measure_pace
from napari_sartorius.training.run_files import PLAN_FILE
from napari_sartorius.training.step import arithmetic_of
from napari_sartorius.training.validate import Looks, validate
from napari_sartorius.training.zoom import choose_zoom, zoomed, zooms_to_try
from napari_sartorius.zoo.cost import default_scale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_sartorius.nn.network import Network
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.zoo import ModelCard

# Pixels of training images on which zooms are tried; more would only make them wait.
_LOOKED_AT = 3_000_000
# Share of the budget that is left for reading and writing, and for what slows down on the way.
_RESERVE = 0.05
# Seconds of work that a computer which is switched off may cost.
_SAFE = 60.0
# So many times the budget is too long.
_OVERTIME = 1.2


class Stopwatch:
    """Time since it was made, and how much of it there is.

    Parameters
    ----------
    budget
        Seconds in which all should be done; None does not hurry.
    clock
        Seconds.
    step
        Seconds of a step, where they are known.
    """

    def __init__(
        self, budget: float | None, clock: Callable[[], float], step: float | None = None
    ) -> None:
        self.budget, self.clock, self.step = budget, clock, step
        self._began = clock()

    def seconds(self) -> float:
        """Seconds so far."""
        return self.clock() - self._began


class InTime(Monitor):
    """Passes on to another monitor, and ends a run that takes much longer than its budget.

    The number of steps fits the speed of the first ones; this is for a computer that has become
    busy since. The run ends as when a person stops it: its best so far is the result.

    Parameters
    ----------
    monitor
        Whom to tell.
    stopwatch
        With a budget, or this does nothing.
    stop_file
        Made when it is time to end.
    """

    def __init__(self, monitor: Monitor, stopwatch: Stopwatch, stop_file: Path) -> None:
        self._monitor, self._stopwatch, self._stop_file = monitor, stopwatch, stop_file
        self._told = False

    def progress(self, stage: str, fraction: float) -> None:
        """Pass on, and look at the time."""
        self._monitor.progress(stage, fraction)
        budget = self._stopwatch.budget
        if budget is None or self._told or self._stopwatch.seconds() < _OVERTIME * budget:
            return
        self._told = True
        self._stop_file.touch()
        self.notice("the time is over and this computer is busy: the best so far is the result")

    def notice(self, message: str) -> None:
        """Pass on."""
        self._monitor.notice(message)

    def check(self) -> None:
        """Pass on."""
        self._monitor.check()


class Plan(BaseModel):
    """Decisions of a run.

    Parameters
    ----------
    zoom, own_zoom
        Network pixels per image pixel, chosen and as the start has it by itself.
    before
        Score of the start on what was kept apart, 0..1, at the scale that it has by itself; None
        where its categories are others.
    steps, validate_every, checkpoint_every, warmup_steps
        Of the configuration, fitted to the budget.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    zoom: float
    own_zoom: float
    before: float | None
    steps: int
    validate_every: int
    checkpoint_every: int
    warmup_steps: int

    def applied_to(self, config: TrainConfig) -> TrainConfig:
        """The configuration with these decisions; crops are drawn at the zoom."""
        low, high = config.augment.scale
        zoom = {"scale": (low * self.zoom, high * self.zoom)}
        steps = self.model_dump(exclude={"zoom", "own_zoom", "before"})
        return config.model_copy(update={"augment": config.augment.model_copy(update=zoom)} | steps)


def read_plan(folder: Path) -> Plan | None:
    """Plan of a run that was begun in `folder`; None where there is none.

    Raises
    ------
    UserError
        When the file is damaged.
    """
    path = folder / PLAN_FILE
    if not path.is_file():
        return None
    try:
        return Plan.model_validate_json(path.read_text())
    except ValidationError as error:
        raise UserError(
            f"{path} is damaged, so the run cannot go on: choose another output folder"
        ) from error


def make_plan(
    folder: Path,
    card: ModelCard,
    network: Network,
    config: TrainConfig,
    training: Sequence[AnnotatedImage],
    validation: Sequence[AnnotatedImage],
    stopwatch: Stopwatch,
    monitor: Monitor,
) -> Plan:
    """Choose zoom and steps, and write them into `folder`.

    Parameters
    ----------
    folder
        Run folder, which is there.
    card, network
        The start; the network in evaluation mode on the device of the training.
    config
        Its steps are the most that are made.
    training, validation
        Packed images at their own scale.
    stopwatch
        What is left of the budget; without a budget the steps are taken as they are.
    monitor
        Progress, notices, cancel.
    """
    device, dtype = arithmetic_of(config)
    own = default_scale(card, training[0].pixels.shape[:2])
    known = config.validate_first
    seen = [zoomed(image, own) for image in _some(training)]
    times = len(zooms_to_try(seen, card.cell_diameter))
    looks = Looks(times * len(seen) + len(validation) if known else 0, monitor)

    def score(images: Sequence[AnnotatedImage]) -> float:
        monitor.check()
        return validate(network, images, monitor, device, dtype, looks).score

    relative = choose_zoom(seen, card.cell_diameter, score if known else None)
    zoom = own * relative
    if relative != 1:
        monitor.notice(
            f"images are brought to {zoom:.2g} times their size: the model finds more of these "
            "cells so"
        )
    before = score([zoomed(image, own) for image in validation]) if known and validation else None
    if stopwatch.budget is not None:
        crops = config.model_copy(
            update={
                "augment": config.augment.model_copy(
                    update={"scale": tuple(zoom * s for s in config.augment.scale)}
                )
            }
        )
        shown = [zoomed(image, zoom) for image in validation]
        pace = measure_pace(
            network, crops, training, shown, monitor, stopwatch.clock, stopwatch.step
        )
        rest = stopwatch.budget - stopwatch.seconds()
        other = 1 + len(config.replay.blends if config.replay else ())
        config = fitted(config, pace, rest - _RESERVE * stopwatch.budget, other)
        often = max(5, round(_SAFE / pace.step))
        config = config.model_copy(update={"checkpoint_every": min(config.checkpoint_every, often)})
        monitor.notice(
            f"a step takes {pace.step:.2g} s here: {plural(config.steps, 'step')} "
            f"{agree(config.steps, 'fits', 'fit')} into the "
            f"{plural(round(rest / 60), 'minute')} that {agree(round(rest / 60), 'is', 'are')} left"
        )
    plan = Plan(
        zoom=zoom,
        own_zoom=own,
        before=before,
        steps=config.steps,
        validate_every=config.validate_every,
        checkpoint_every=config.checkpoint_every,
        warmup_steps=config.warmup_steps,
    )
    write_text(folder / PLAN_FILE, plan.model_dump_json(indent=1))
    return plan


def _some(images: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """The first images, at least one, with so many pixels as are worth a look."""
    sizes = np.cumsum([image.pixels.shape[0] * image.pixels.shape[1] for image in images])
    return list(images[: max(1, int(np.searchsorted(sizes, _LOOKED_AT, side="right")))])
