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
    """Where a run stands: steps done, best validation and how long ago it was."""

    step: int = 0
    best_score: float = -1.0
    best_step: int = 0
    validations_since_best: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)


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
