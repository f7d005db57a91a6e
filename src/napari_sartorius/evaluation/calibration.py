"""Whether scores mean what they say: of objects scored 0.8, eight in ten should be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

BINS = 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """A reliability table with B bins of equal width.

    Parameters
    ----------
    edges : (B + 1,) float64
        Borders of the bins, 0 to 1; a score on a border belongs to the upper bin, 1 to the last.
    counts : (B,) int64
        Objects with scores in each bin.
    mean_scores : (B,) float64
        Their mean score; not-a-number for an empty bin.
    precisions : (B,) float64
        Share of them that is right; not-a-number for an empty bin.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    mean_scores: NDArray[np.float64]
    precisions: NDArray[np.float64]

    @property
    def expected_error(self) -> float:
        """Expected calibration error (Guo et al. 2017), 0 to 1: the mean distance between score
        and share of right objects, weighted by objects; not-a-number without any."""  # noqa: D205, D209
        total = int(self.counts.sum())
        if not total:
            return float("nan")
        some = self.counts > 0
        gaps = np.abs(self.mean_scores[some] - self.precisions[some])
        return float((gaps * self.counts[some]).sum() / total)


def calibration(scores: ArrayLike, right: ArrayLike, bins: int = BINS) -> Calibration:
    """Compare the scores of N objects with how often they are right.

    Parameters
    ----------
    scores : (N,) float
        0 to 1.
    right : (N,) bool
        Whether each object matches a true one, for example at an IoU above 0.5.
    bins : int
        How many bins of equal width.

    Raises
    ------
    UserError
        If a score is not in 0 to 1.
    """
    values = np.asarray(scores, np.float64)
    correct = np.asarray(right, np.bool_)
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if wrong.size:
        raise UserError(
            f"The prediction has an object with the score {values[wrong[0]]:g}, expected 0 to 1: "
            "repeat the prediction or rescale its scores."
        )
    place = np.minimum((values * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_scores = np.bincount(place, values, minlength=bins) / counts
        precisions = np.bincount(place, correct, minlength=bins) / counts
    return Calibration(np.linspace(0, 1, bins + 1), counts, mean_scores, precisions)
