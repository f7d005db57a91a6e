"""Objects whose shape no cell of their kind has: limits on size and form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.shape_features import shape_features
from napari_sartorius.postprocess.filter_config import ShapeFilter
from napari_sartorius.postprocess.thresholds import per_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.postprocess.filter_config import Shape
    from napari_sartorius.postprocess.shape_table import ShapeTable


def keep_by_shape(
    instances: Instances,
    feature: Shape,
    minimum: float | Sequence[float] = -np.inf,
    maximum: float | Sequence[float] = np.inf,
) -> Instances:
    """Keep objects of which a feature lies within limits, both included; drop empty masks.

    Parameters
    ----------
    instances : Instances
        Objects of one image.
    feature : str
        One of those in `core.shape_features`.
    minimum, maximum : float or sequence of float
        One for all, or one per category.
    """
    features = shape_features(instances.masks)
    values = features[feature]
    low = per_object(minimum, instances.categories)
    high = per_object(maximum, instances.categories)
    return instances[(values >= low) & (values <= high) & (features["area"] > 0)]


def filters_from_table(
    table: ShapeTable, features: Sequence[Shape] = ("major_axis",), *, both_ends: bool = False
) -> tuple[ShapeFilter, ...]:
    """Shape filters with the limits of a table of annotated cells.

    Parameters
    ----------
    table : ShapeTable
        Lowest and highest usual values per category.
    features : sequence of str
        What to filter by; by default the length alone, the published rule.
    both_ends : bool
        Whether objects above the highest value go, too.

    Raises
    ------
    UserError
        If the table lacks a feature.
    """
    filters = []
    for feature in features:
        ranges = {name: table.range(feature, name) for name in table.categories}
        low = {name: limits[0] for name, limits in ranges.items() if np.isfinite(limits[0])}
        high = {name: limits[1] for name, limits in ranges.items() if np.isfinite(limits[1])}
        filters.append(
            ShapeFilter(feature=feature, minimum=low, maximum=high if both_ends else None)
        )
    return tuple(filters)
