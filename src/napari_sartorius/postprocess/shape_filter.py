"""Objects whose shape no cell of their kind has: percentile limits on size and form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.regions import region_table
from napari_sartorius.postprocess.thresholds import per_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.postprocess.filter_config import Shape


def shape_features(masks: CropMasks) -> dict[Shape, NDArray[np.float64]]:
    """Measure what shape filters can ask for, as scikit-image's regionprops define it.

    Parameters
    ----------
    masks : CropMasks
        N masks; each counts as one region however many parts it has.

    Returns
    -------
    dict of str to (N,) float64
        ``area``, ``major_axis``, ``minor_axis`` in pixels; ``axis_ratio`` minor over major (1 for
        a single pixel); ``solidity``, ``extent`` 0..1; ``hu_0``, ``hu_1``, the first two Hu
        moments. Not-a-number for empty masks.
    """
    table: dict[str, NDArray[Any]] = region_table(masks)
    area = np.where(table["area"] > 0, table["area"], np.nan).astype(np.float64)
    major, minor = table["major_axis"], table["minor_axis"]
    sides = table["bbox_x1"] - table["bbox_x0"], table["bbox_y1"] - table["bbox_y0"]
    # Axes are 4 times the roots of the second moments, of which Hu's two are sum and difference.
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "area": area,
            "major_axis": major,
            "minor_axis": minor,
            "axis_ratio": np.where(major == 0, 1.0, minor / major),
            "solidity": table["solidity"],
            "extent": area / (sides[0] * sides[1]),
            "hu_0": (major**2 + minor**2) / (16 * area),
            "hu_1": ((major**2 - minor**2) / (16 * area)) ** 2,
        }


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
        One of those in `shape_features`.
    minimum, maximum : float or sequence of float
        One for all, or one per category.
    """
    values = shape_features(instances.masks)[feature]
    low = per_object(minimum, instances.categories)
    high = per_object(maximum, instances.categories)
    return instances[(values >= low) & (values <= high)]
