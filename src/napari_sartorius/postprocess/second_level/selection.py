"""Which features a second level learns from: those that are known and that vary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MOST_UNKNOWN = 0.3
MOST_EQUAL = 0.9


def select_features(
    table: Mapping[str, NDArray[np.float64]],
    *,
    most_unknown: float = MOST_UNKNOWN,
    most_equal: float = MOST_EQUAL,
) -> tuple[str, ...]:
    """Names of the features to learn from, in the order of the table.

    The rule of the 7th place; on its data it leaves 130 of 139.

    Parameters
    ----------
    table : mapping of str to (N,) float64
        As from `object_features`, of the objects of all images to learn from.
    most_unknown : float
        A feature of which a larger share, 0..1, is not-a-number is left out.
    most_equal : float
        One of which a larger share of all rows has one and the same value is left out.
    """
    return tuple(
        name for name, values in table.items() if _is_useful(values, most_unknown, most_equal)
    )


def _is_useful(values: NDArray[np.float64], most_unknown: float, most_equal: float) -> bool:
    known = values[~np.isnan(values)]
    if not len(known) or len(values) - len(known) > most_unknown * len(values):
        return False
    _, counts = np.unique(known, return_counts=True)
    return bool(counts.max() <= most_equal * len(values))
