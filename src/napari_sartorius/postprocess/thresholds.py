"""Which objects are certain and large enough to keep, category by category."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances


def per_object(
    values: float | Sequence[float], categories: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the value that holds for each object.

    Parameters
    ----------
    values : float or sequence of float
        One value for all, or one per category.
    categories : (N,) int64
        0-based category of each object.

    Returns
    -------
    (N,) float64

    Raises
    ------
    ValueError
        If a category has no value.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim == 0:
        return np.full(len(categories), float(table))
    if len(categories) and (categories.min() < 0 or categories.max() >= len(table)):
        raise ValueError(
            f"got values for {plural(len(table), 'category', 'categories')}, but category "
            f"{int(categories.max())} occurs"
        )
    chosen: NDArray[np.float64] = table[categories]
    return chosen


def keep_by_score(instances: Instances, thresholds: float | Sequence[float]) -> Instances:
    """Keep objects whose score is at least the threshold of their category.

    Parameters
    ----------
    instances : Instances
        Objects of one image.
    thresholds : float or sequence of float
        0 to 1; one for all, or one per category.
    """
    # Scores are float32: compared as such, a score written as 0.3 passes a threshold of 0.3.
    limits = per_object(thresholds, instances.categories).astype(np.float32)
    return instances[instances.scores >= limits]


def keep_by_size(instances: Instances, min_size: float | Sequence[float]) -> Instances:
    """Keep objects of at least `min_size` pixels (one number, or one per category)."""
    return instances[instances.masks.area() >= per_object(min_size, instances.categories)]


def majority_category(instances: Instances) -> int | None:
    """Return the category that most objects have, the lowest of equals; None without objects.

    One image of the Sartorius data shows one cell type, and this vote finds it about as well as
    an image classifier.
    """
    if not len(instances):
        return None
    return int(np.bincount(instances.categories).argmax())
