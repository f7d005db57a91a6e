"""Losses that are no numbers: left out now and then, and an end when they go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.training.step import StepOutcome

_MOST = 5
# The scale of float16 falls by half each time, from 65536 to below one.
_MOST_OVERFLOWS = 20
_MOST_TOLD = 5


class BadSteps:
    """Counts steps that changed nothing because their losses or gradients were no numbers.

    Parameters
    ----------
    names
        Gives the names of the images of a step's crops.
    monitor
        Hears of the first few.
    """

    def __init__(self, names: Callable[[int], Sequence[str]], monitor: Monitor) -> None:
        self._names, self._monitor = names, monitor
        self._told = self._bad = self._overflows = 0

    @property
    def in_doubt(self) -> bool:
        """Whether the weights may be the reason, so that they are no place to go on from.

        A few overflows are how float16 finds its scale.
        """
        return self._bad > 0 or self._overflows >= _MOST

    def note(self, step: int, outcome: StepOutcome, kept: int | None) -> None:
        """Hear of a step, by its 0-based number.

        Parameters
        ----------
        step, outcome
            What happened when.
        kept
            Steps done in the last checkpoint; None when there is none.

        Raises
        ------
        UserError
            When too many steps in a row changed nothing. It names the images of the last one.
        """
        if outcome.is_finite:
            self._bad = self._overflows = 0
            return
        if outcome.is_overflow:
            self._overflows += 1
        else:
            self._bad += 1
        if self._bad < _MOST and self._overflows < _MOST_OVERFLOWS:
            self._tell(step, outcome)
            return
        first = step + 2 - self._bad - self._overflows
        weights = "no weights were saved yet" if kept is None else f"those of step {kept} are kept"
        raise UserError(
            f"the loss was not a number in steps {first} to {step + 1}, the last with crops of "
            f"{self._images(step)}; the weights did not change and {weights}: look at these "
            "images, or lower the learning rate or use float32 precision, then resume"
        )

    def _tell(self, step: int, outcome: StepOutcome) -> None:
        if outcome.is_overflow or self._told == _MOST_TOLD:
            return
        self._told += 1
        self._monitor.notice(
            f"step {step + 1} was left out because its loss was not a number, with crops of "
            f"{self._images(step)}"
        )

    def _images(self, step: int) -> str:
        return ", ".join(dict.fromkeys(self._names(step)))
