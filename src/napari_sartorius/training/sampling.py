"""Which image the next crop is taken from, as a probability that may change from step to step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
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
