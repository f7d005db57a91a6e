"""One step of the optimiser: losses of a batch, gradients, clipping, weights, running average."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.inference.device import choose_device, choose_precision
from napari_sartorius.inference.memory import is_out_of_memory, release
from napari_sartorius.training.average import WeightAverage
from napari_sartorius.training.freeze import Frozen
from napari_sartorius.training.loss_weights import LossWeights
from napari_sartorius.training.memory import smaller_portion, told
from napari_sartorius.training.optimiser import learning_rate, make_optimiser
from napari_sartorius.training.running_statistics import RunningStatistics

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.nn.network import Network
    from napari_sartorius.nn.targets import Target
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.distributed import Group
    from napari_sartorius.training.pull import Pull


@dataclass(frozen=True)
class StepOutcome:
    """What became of a step.

    Attributes
    ----------
    losses
        Mean of each loss over the batch, before weighing; empty when the step was left out.
    is_finite
        Whether losses and gradients were numbers. If not, nothing was changed.
    is_overflow
        Whether only gradients were not, and float16 will try them with a smaller scale.
    """

    losses: dict[str, float]
    is_finite: bool
    is_overflow: bool = False


class TrainingStep:
    """The network with all that changes its weights.

    A step depends on the state before it, its number and its crops only: its random numbers are
    begun anew from the seed and its number, so that neither a resumed run nor a second try with
    less memory draws others.

    Parameters
    ----------
    network
        On its device.
    config
        The whole configuration.
    device, dtype
        Where and in which arithmetic losses are computed; weights are float32.
    group
        The processes that share the work.
    monitor
        Hears when memory was too small.
    """

    def __init__(
        self,
        network: Network,
        config: TrainConfig,
        device: torch.device,
        dtype: torch.dtype,
        group: Group,
        monitor: Monitor,
    ) -> None:
        self.network, self.config = network, config
        self.device, self.dtype = device, dtype
        self.portion = config.batch_size
        self.frozen = Frozen(network, config.freeze)
        self.average = WeightAverage(network, config.ema)
        self.optimiser = make_optimiser(network, config)
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        self._group, self._monitor = group, monitor
        self._weights = LossWeights(config)
        self._learning = [p for p in network.parameters() if p.requires_grad]
        self._statistics = RunningStatistics(network, self.frozen.modules)
        self.pull: Pull | None = None
        """What moves the weights back a little after each step; fine-tuning sets it."""

    def run(self, step: int, batch: Tensor, targets: list[Target]) -> StepOutcome:
        """Change the weights once, or not at all.

        Parameters
        ----------
        step
            0-based number.
        batch
            (N, C, S, S) float32, all crops of this process for this step, not yet on the device.
        targets
            Their truth.

        Raises
        ------
        UserError
            When not even one crop fits into memory.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, self.config)
        self.frozen.train(self.network)
        self._statistics.keep()
        losses = self._gradients(step, batch, targets)
        while self._group.any(losses is None):
            self._use_less_memory(step, len(batch))
            losses = self._gradients(step, batch, targets)
        assert losses is not None
        names = tuple(losses)
        means = self._group.add_up(
            self._learning, self._statistics.shared(), torch.stack(list(losses.values()))
        )
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self._learning, self.config.gradient_clip)
        # The one moment of a step at which the device is waited for: all figures together.
        *values, size = torch.cat([means, norm.to(means)[None]]).tolist()
        finite_losses = all(map(math.isfinite, values))
        if finite_losses and math.isfinite(size):
            self.scaler.step(self.optimiser)
            self.scaler.update()
            if self.pull is not None:
                self.pull.apply(self.optimiser)
            self.average.update(self.network, step)
            return StepOutcome(dict(zip(names, values, strict=True)), is_finite=True)
        self._statistics.restore()
        self.scaler.update()
        return StepOutcome({}, False, is_overflow=finite_losses and self.scaler.is_enabled())

    def _gradients(
        self, step: int, batch: Tensor, targets: list[Target]
    ) -> dict[str, Tensor] | None:
        """Gradients of the whole batch, and mean losses; None when memory ran out."""
        self.optimiser.zero_grad(set_to_none=True)
        torch.manual_seed(_seed(self.config.seed, step, self._group.rank))
        sums: dict[str, Tensor] = {}
        try:
            for first in range(0, len(batch), self.portion):
                part = slice(first, first + self.portion)
                for name, value in self._portion(step, batch[part], targets[part], len(batch)):
                    sums[name] = sums[name] + value if name in sums else value
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return sums

    def _portion(
        self, step: int, batch: Tensor, targets: list[Target], share: int
    ) -> list[tuple[str, Tensor]]:
        """Add the gradients of some of the crops of a step; their part of each mean loss."""
        weight = len(batch) / share
        batch = batch.to(self.device, memory_format=torch.channels_last)
        targets = [target.to(self.device) for target in targets]
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            losses = self.network.losses(batch, targets)
        total = self._weights.total(step, losses) * weight
        self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        return [(name, value.detach().float() * weight) for name, value in losses.items()]

    def _use_less_memory(self, step: int, share: int) -> None:
        """Undo what the step has changed and compute fewer crops at a time from now on."""
        self.optimiser.zero_grad(set_to_none=True)
        self._statistics.restore()
        release(self.device.type)
        before = min(self.portion, share)
        try:
            self.portion = smaller_portion(before, self.config.crop, str(self.device))
        except UserError as error:
            raise self._group.shared(error) from None
        self._monitor.notice(told(step + 1, before, self.portion, share, str(self.device)))

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs to go on with the same numbers."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "portion": self.portion,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave; a checkpoint of an earlier version lacks the last two."""
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        self.portion = min(self.config.batch_size, state.get("portion", self.portion))


def arithmetic(
    precision: Literal["auto", "float32", "bfloat16", "float16"], device: str
) -> torch.dtype:
    """Type of numbers in which losses are computed on a device.

    Raises
    ------
    UserError
        When float16 is asked of a device that is slower with it and lacks its loss scaling.
    """
    if precision == "float16":
        if not device.startswith("cuda"):
            raise UserError(
                f"float16 precision needs a CUDA device and this run uses {device}: set precision "
                "to auto, bfloat16 or float32"
            )
        return torch.float16
    chosen = choose_precision(precision, device)
    return torch.bfloat16 if chosen == "bfloat16" else torch.float32


def arithmetic_of(config: TrainConfig) -> tuple[torch.device, torch.dtype]:
    """Device of a run in one process, and `arithmetic` on it."""
    device = choose_device(config.device).device
    return torch.device(device), arithmetic(config.precision, device)


def _seed(seed: int, step: int, rank: int) -> int:
    """Start of the random numbers of a step, another one for each process."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])
