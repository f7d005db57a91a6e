"""How well objects are counted, whatever their outlines: the error per image and overall.

Counts are what many experiments need in the end. LIVECell's counting benchmark compares them by the
coefficient of determination over images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class CountingError:
    """Errors of the number of objects over images; not-a-number where nothing can be said.

    Parameters
    ----------
    images : int
        How many images.
    bias : float
        Mean of predicted minus true count, objects per image: above 0 if too many are found.
    mean_absolute : float
        Mean of the absolute difference, objects per image.
    mean_relative : float
        Mean of the absolute difference over the true count, of images with true objects.
    total_relative : float
        Predicted minus true objects of all images together over the true ones.
    r2 : float
        Coefficient of determination of predicted as true counts: 1 if all are equal, below 0 if
        the mean of the true counts would have been the better guess. Needs two different counts.
    r2_linear : float
        The same after the best straight line, as LIVECell's benchmark has it: a constant factor
        costs nothing.
    """

    images: int
    bias: float
    mean_absolute: float
    mean_relative: float
    total_relative: float
    r2: float
    r2_linear: float


def counting_error(true_counts: ArrayLike, predicted_counts: ArrayLike) -> CountingError:
    """Compare the numbers of objects of M images, both (M,) int."""
    true = np.asarray(true_counts, np.float64)
    predicted = np.asarray(predicted_counts, np.float64)
    nan = float("nan")
    if not true.size:
        return CountingError(0, nan, nan, nan, nan, nan, nan)
    error = predicted - true
    some = true > 0
    return CountingError(
        images=len(true),
        bias=float(error.mean()),
        mean_absolute=float(np.abs(error).mean()),
        mean_relative=float((np.abs(error[some]) / true[some]).mean()) if some.any() else nan,
        total_relative=float(error.sum() / true.sum()) if some.any() else nan,
        r2=_determination(true, predicted),
        r2_linear=_linear_determination(true, predicted),
    )


def _determination(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    spread = ((true - true.mean()) ** 2).sum()
    return float(1 - ((predicted - true) ** 2).sum() / spread) if spread > 0 else float("nan")


def _linear_determination(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    if np.ptp(true) == 0 or np.ptp(predicted) == 0:
        return float("nan")
    return float(np.corrcoef(true, predicted)[0, 1] ** 2)
