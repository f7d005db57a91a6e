"""What the fit loop tells: of each validation, and of the whole run at its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_sartorius.nn.network import Network
from napari_sartorius.training.validate import ValidationResult


@dataclass(frozen=True)
class FitResult:
    """Where the best weights are, at which step, the figure that chose them, steps done in all."""

    best: Path
    best_step: int
    best_score: float
    steps: int
    stopped_early: bool


@dataclass(frozen=True)
class ValidationEvent:
    """What a validation found, told when the checkpoint that holds it is on the disk.

    Attributes
    ----------
    step
        Steps done.
    row
        The row of the curve.
    is_best
        Whether these weights are the best so far.
    network
        The averaged weights that were validated, in evaluation mode.
    result
        Predictions and figures; None when there are no validation images.
    """

    step: int
    row: dict[str, float]
    is_best: bool
    network: Network
    result: ValidationResult | None
