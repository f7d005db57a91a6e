"""State of a run on disk: written whole or not at all, so a kill at any moment can be resumed."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from napari_sartorius.training.average import WeightAverage


@dataclass
class Progress:
    """Where a run stands, so that a resumed run goes on as if it had never stopped.

    Attributes
    ----------
    step
        Steps done.
    best_score, best_step, validations_since_best
        The best validation and how long ago it was.
    rows
        The curve, one row per validation.
    loss_sums, loss_steps, loss_seconds
        Sums of the losses since the last validation, over how many steps and seconds.
    """

    step: int = 0
    best_score: float = -1.0
    best_step: int = 0
    validations_since_best: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    loss_sums: dict[str, float] = field(default_factory=dict)
    loss_steps: int = 0
    loss_seconds: float = 0.0

    def add_step(self, losses: dict[str, float], seconds: float) -> None:
        """Count a step and its losses (none when it was skipped)."""
        self.step += 1
        self.loss_steps += 1
        self.loss_seconds += seconds
        for name, value in losses.items():
            self.loss_sums[name] = self.loss_sums.get(name, 0.0) + value

    def take_means(self) -> dict[str, float]:
        """Mean losses and seconds per step since the last call, which are then forgotten."""
        count = max(1, self.loss_steps)
        row = {"seconds_per_step": self.loss_seconds / count}
        row |= {f"loss_{name}": value / count for name, value in self.loss_sums.items()}
        self.loss_sums, self.loss_steps, self.loss_seconds = {}, 0, 0.0
        return row


def save_checkpoint(
    path: Path,
    network: nn.Module,
    average: WeightAverage[Any],
    optimiser: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write weights, average, optimiser, random state and progress, atomically."""
    state = {
        "network": network.state_dict(),
        "average": average.network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "progress": vars(progress),
    }
    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(
    path: Path,
    network: nn.Module,
    average: WeightAverage[Any],
    optimiser: torch.optim.Optimizer,
) -> Progress:
    """Restore what `save_checkpoint` wrote.

    Raises
    ------
    UserError
        When the file is damaged or belongs to another architecture.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        average.network.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        return Progress(**state["progress"])
    except (
        RuntimeError,
        KeyError,
        TypeError,
        EOFError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        raise UserError(
            f"{path} cannot be resumed ({type(error).__name__}); it is damaged or belongs to "
            "another architecture: choose another output folder or delete the file"
        ) from error
