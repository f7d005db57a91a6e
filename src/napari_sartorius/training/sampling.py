"""Which image the next crop is taken from, as a probability that may change from step to step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Sampling(Protocol):
    """Probability of each training image at a step."""

    def probabilities(self, step: int) -> NDArray[np.float64]:
        """(N,) at 0-based `step`; they add up to one."""
        ...


class FixedSampling:
    """The same probabilities at every step.

    Parameters
    ----------
    weights
        (N,) not negative; scaled to a sum of one.
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self._probabilities: NDArray[np.float64] = weights / weights.sum()

    def probabilities(self, step: int) -> NDArray[np.float64]:
        """(N,) the same whatever `step` is."""
        return self._probabilities


class MixedSampling:
    """Two sets of images, one after the other in the list, the second with a share of its own.

    Old images that keep a fine-tuned model from forgetting have a constant share; pseudo-labelled
    images one that falls to zero.

    Parameters
    ----------
    first, second
        (N,) and (M,) weights of the two sets.
    share
        Share of the second set at a 0-based step, 0..1.
    """

    def __init__(
        self,
        first: NDArray[np.float64],
        second: NDArray[np.float64],
        share: Callable[[int], float],
    ) -> None:
        self._first, self._second = first / first.sum(), second / second.sum()
        self._share = share

    def probabilities(self, step: int) -> NDArray[np.float64]:
        """(N + M,) at 0-based `step`."""
        share = self._share(step)
        return np.concatenate((self._first * (1 - share), self._second * share))
