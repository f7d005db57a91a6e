"""A training that a leading process begins, and in which all who help it take part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.inference.memory import release
from napari_sartorius.io.atomic import write_text
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.fit import Trainer
from napari_sartorius.training.leading import current_lead
from napari_sartorius.training.pull import Pull
from napari_sartorius.training.run_files import CONFIG_FILE
from napari_sartorius.training.sampling import Sampling
from napari_sartorius.training.step import arithmetic_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from napari_sartorius.training.distributed import Group
    from napari_sartorius.training.fit_results import FitResult, ValidationEvent
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.training.leading import Lead


def joint_trainer(
    config: TrainConfig,
    training: Sequence[AnnotatedImage],
    validation: Sequence[AnnotatedImage],
    folder: Path,
    monitor: Monitor,
    initial: dict[str, Tensor] | None = None,
    sampling: Sampling | None = None,
    on_validated: Callable[[ValidationEvent], None] | None = None,
    pull: float = 0.0,
) -> Trainer:
    """A trainer of which the processes that help this one, where there are any, have one too.

    They are sent the images, get the same weights, and then do what `Trainer.resume` and
    `Trainer.fit` do here; so both are to be called, once each and in this order.

    Parameters
    ----------
    config, training, validation, folder, monitor, initial, sampling, on_validated
        As for `Trainer`. `sampling` is sent as pickle can.
    pull
        Strength with which `Pull` keeps weights near to `initial`.

    Raises
    ------
    UserError
        When there is nothing to train on, the folder cannot be written to, or the device does not
        compute in the precision that is asked for.
    """
    lead = current_lead()
    if lead is None:
        trainer = Trainer(
            config, training, validation, folder, monitor, initial, sampling, on_validated
        )
    else:
        _check(config, training, folder)  # while nobody waits for the others
        names = tuple(initial) if initial and pull else ()
        lead.give(_Training(config, len(training), folder, sampling, pull, names))
        for image in training:
            lead.group.share(image)  # one by one: all of them would be in memory twice
        trainer = _LeadingTrainer(
            config, training, validation, folder, monitor, initial, sampling, on_validated
        )
        trainer.lead = lead
    if initial and pull:
        trainer.step.pull = Pull(initial, trainer.network, pull)
    return trainer


class _LeadingTrainer(Trainer):
    """Says when the others have nothing to do any more."""

    lead: Lead

    def fit(self) -> FitResult:
        """As `Trainer.fit`."""
        result = super().fit()
        self.lead.helpers_wait = True
        return result


@dataclass(frozen=True, eq=False)
class _Training:
    """What those who help are told of a training; the images come after it, one by one."""

    config: TrainConfig
    images: int
    folder: Path
    sampling: Sampling | None
    pull: float
    pulled: tuple[str, ...]

    def help(self, group: Group) -> None:
        """Train along; the first process alone measures, writes and tells."""
        images: list[AnnotatedImage] = [group.share(None) for _ in range(self.images)]  # type: ignore[misc]
        trainer = Trainer(self.config, images, [], self.folder, Monitor(), sampling=self.sampling)
        if self.pulled:
            # A trainer that was not resumed yet has the weights that the first process began with.
            state = trainer.network.state_dict()
            start = {name: state[name].clone() for name in self.pulled if name in state}
            trainer.step.pull = Pull(start, trainer.network, self.pull)
        trainer.resume()
        trainer.fit()
        device = trainer.device.type
        del trainer
        release(device)


def _check(config: TrainConfig, training: Sequence[AnnotatedImage], folder: Path) -> None:
    """What may be wrong with a training before it begins, and is the same in every process."""
    if not training:
        raise UserError("there is no annotated image to train on; check the split names")
    arithmetic_of(config)
    write_text(folder / CONFIG_FILE, config.model_dump_json(indent=1))
