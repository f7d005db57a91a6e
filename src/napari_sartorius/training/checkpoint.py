"""State of a run on disk: written whole or not at all, so a kill at any moment can be resumed."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.training.run_files import BEST_FILE, LAST_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from napari_sartorius.core.progress import Monitor

BROKEN = (RuntimeError, KeyError, TypeError, EOFError, ValueError, pickle.UnpicklingError)
"""What reading or taking over a checkpoint raises when it is damaged or of another network."""


@dataclass
class Progress:
    """Where a run stands, so that a resumed run goes on as if it had never stopped.

    Attributes
    ----------
    step
        Steps done.
    best_score, best_step, validations_since_best
        The best validation, by the figure that selects, and how long ago it was.
    rows
        The curve, one row per validation.
    loss_sums, loss_steps, loss_seconds
        Sums of the losses since the last validation, over how many steps and seconds; steps that
        were left out do not count.
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
        """Count a step and its losses (none when it was left out)."""
        self.step += 1
        if not losses:
            return
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

    def row_of_best(self) -> dict[str, float]:
        """Row of the best validation; empty before the first."""
        return next((row for row in reversed(self.rows) if row["step"] == self.best_step), {})


class Checkpoints:
    """``last.pt``, with which a run goes on, and ``best.pt``, the weights that are its result.

    The two always agree: when `load` has returned, ``best.pt`` holds the weights of the best
    validation that ``last.pt`` knows of, wherever between them the process was killed. When the
    disk is full the files of before stay, the person is told, and the next `save` tries again.

    Parameters
    ----------
    folder
        Of the run.
    monitor
        Hears that something could not be written.
    """

    def __init__(self, folder: Path, monitor: Monitor) -> None:
        self._last, self._best = folder / LAST_FILE, folder / BEST_FILE
        self._monitor = monitor
        self._owed: dict[str, Any] | None = None

    def save(
        self, state: dict[str, Any], progress: Progress, average: nn.Module, *, is_best: bool
    ) -> bool:
        """Write a checkpoint and, where it is the best, its averaged weights.

        Parameters
        ----------
        state
            Everything but the progress, as plain tensors, numbers and dictionaries.
        progress
            Where the run stands.
        average
            The weights that were validated.
        is_best
            Whether this validation was the best so far.

        Returns
        -------
        bool
            Whether both files are on the disk.
        """
        if is_best:
            # A copy, because the average moves on; dropped again as soon as it is on the disk.
            values = average.state_dict().items()
            self._owed = {name: value.to("cpu", copy=True) for name, value in values}
        try:
            if self._owed is not None and not is_best:
                self._pay()
            write_tensors(self._last, state | {"progress": vars(progress)})
            self._pay()
        except UserError as error:
            self._monitor.notice(
                f"{error} Training goes on and tries again at the next checkpoint; until then what "
                "was written before stays."
            )
            return False
        return True

    def finish(self) -> None:
        """Write what is still owed.

        Raises
        ------
        UserError
            When the best weights cannot be written now either.
        """
        self._pay()

    def load(self) -> dict[str, Any] | None:
        """What was saved last, on the processor; None when nothing was.

        Raises
        ------
        UserError
            When the file is damaged.
        """
        if not self._last.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self._last, map_location="cpu", weights_only=True)
            progress = state["progress"]
            if progress["best_step"] == progress["step"] and progress["rows"]:
                # Killed after the first file, perhaps, and before the second.
                write_tensors(self._best, state["average"])
        except UserError:
            raise
        except BROKEN as error:
            raise self.unusable(error) from error
        return state

    def unusable(self, error: Exception) -> UserError:
        """Say that ``last.pt`` cannot be used."""
        return UserError(
            f"{self._last} cannot be resumed ({type(error).__name__}); it is damaged or belongs to "
            "another architecture: choose another output folder or delete the file"
        )

    def _pay(self) -> None:
        if self._owed is not None:
            write_tensors(self._best, self._owed)
            self._owed = None


def write_tensors(path: Path, state: dict[str, Any]) -> None:
    """Write with `torch.save`, atomically.

    Raises
    ------
    UserError
        As `io.atomic.atomic_write`; the earlier file stays.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:
            # torch hides what the disk said, and Ctrl-C, behind a message of its own.
            if isinstance(error.__context__, OSError | KeyboardInterrupt):
                raise error.__context__ from error
            raise
