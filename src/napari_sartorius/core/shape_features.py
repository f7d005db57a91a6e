"""The shape of cells as numbers that do not depend on where a cell lies: axes, Hu's moments, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.regions import region_table, row_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.core.runs import Runs

    Floats = NDArray[np.float64]

HU_FEATURES: tuple[str, ...] = tuple(f"hu_{i}" for i in range(7))
SHAPE_FEATURES: tuple[str, ...] = (
    "area",
    "major_axis",
    "minor_axis",
    "axis_ratio",
    "solidity",
    "extent",
    *HU_FEATURES,
)
"""All that `shape_features` measures, in this order."""


def shape_features(masks: CropMasks) -> dict[str, Floats]:
    """Measure the shape of masks, as the cell-shape analysis of the Sartorius data did.

    Parameters
    ----------
    masks : CropMasks
        N masks; each counts as one region however many parts it has.

    Returns
    -------
    dict of str to (N,) float64
        The `SHAPE_FEATURES`: ``area`` (pixels); ``major_axis`` and ``minor_axis`` (axes of the
        ellipse with the same second moments, pixels); ``axis_ratio`` (minor over major, 1 where
        the major axis is 0); ``solidity`` (area over area of the convex hull, 0 to 1); ``extent``
        (area over area of the box, 0 to 1); ``hu_0`` to ``hu_6`` (Hu's moments, invariant to
        shift, turn and scale). All agree with scikit-image's regionprops. Empty masks have area
        0 and not-a-number for the rest.
    """
    table = region_table(masks)
    area = table["area"].astype(np.float64)
    major, minor = table["major_axis"], table["minor_axis"]
    box = (table["bbox_x1"] - table["bbox_x0"]) * (table["bbox_y1"] - table["bbox_y0"])
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(major == 0, 1.0, minor / major)
        extent = area / box
    features = {
        "area": area,
        "major_axis": major,
        "minor_axis": minor,
        "axis_ratio": ratio,
        "solidity": table["solidity"],
        "extent": extent,
    }
    return features | dict(zip(HU_FEATURES, hu_moments(masks).T, strict=True))


def hu_moments(masks: CropMasks) -> Floats:
    """Return the seven moments of Hu (1962) of each mask, (N, 7) float64.

    The first index of a moment counts rows, as in scikit-image; the sign of the last, which tells
    a shape from its mirror image, depends on it.
    """
    tight = masks.tight()
    n20, n11, n02, n30, n21, n12, n03 = _normalised_moments(row_runs(tight), len(tight))
    across, along = n30 + n12, n21 + n03
    skew_y, skew_x = n30 - 3 * n12, 3 * n21 - n03
    cubic_y = across * (across**2 - 3 * along**2)
    cubic_x = along * (3 * across**2 - along**2)
    return np.stack(
        [
            n20 + n02,
            (n20 - n02) ** 2 + 4 * n11**2,
            skew_y**2 + skew_x**2,
            across**2 + along**2,
            skew_y * cubic_y + skew_x * cubic_x,
            (n20 - n02) * (across**2 - along**2) + 4 * n11 * across * along,
            skew_x * cubic_y - skew_y * cubic_x,
        ],
        axis=1,
    )


def _normalised_moments(lines: Runs, count: int) -> tuple[Floats, ...]:
    """Return central moments yy, yx, xx, yyy, yyx, yxx, xxx over powers of the area, each (N,)."""

    def total(values: NDArray[np.int64]) -> Floats:
        sums: NDArray[Any] = np.bincount(lines.instance, weights=values, minlength=count)
        return sums

    # From the middle of the box, the sums stay small and lose nothing when moved to the centre.
    filled = np.bincount(lines.instance, minlength=count) > 0
    middle_y, middle_x = (
        (_largest(lines.instance, values, count) // 2)[lines.instance]
        for values in (lines.line, lines.stop)
    )
    y: NDArray[np.int64] = lines.line - middle_y
    a, b = lines.start - middle_x, lines.stop - middle_x
    ones = b - a
    x1 = _powers_below(b, 1) - _powers_below(a, 1)
    x2 = _powers_below(b, 2) - _powers_below(a, 2)
    x3 = _powers_below(b, 3) - _powers_below(a, 3)
    area = np.where(filled, total(ones), np.nan)
    my, mx = total(y * ones) / area, total(x1) / area
    yy, xx, yx = total(y * y * ones) / area, total(x2) / area, total(y * x1) / area
    yyy, xxx = total(y**3 * ones) / area, total(x3) / area
    yyx, yxx = total(y * y * x1) / area, total(y * x2) / area
    central = (
        yy - my**2,
        yx - my * mx,
        xx - mx**2,
        yyy - 3 * my * yy + 2 * my**3,
        yyx - 2 * my * yx - mx * yy + 2 * my**2 * mx,
        yxx - 2 * mx * yx - my * xx + 2 * mx**2 * my,
        xxx - 3 * mx * xx + 2 * mx**3,
    )
    # mu / area ** (1 + order / 2), of which one area is already in the means above.
    return tuple(m / area if k < 3 else m / area**1.5 for k, m in enumerate(central))


def _powers_below(stop: NDArray[np.int64], power: int) -> NDArray[np.int64]:
    """Return the sum of k**power for k from 0 to stop - 1; differences are sums over runs."""
    if power == 1:
        return stop * (stop - 1) // 2
    if power == 2:
        return (stop - 1) * stop * (2 * stop - 1) // 6
    half: NDArray[np.int64] = stop * (stop - 1) // 2
    return half * half


def _largest(
    instance: NDArray[np.int64], values: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Return the largest value of each of `count` instances, 0 for those without any."""
    result = np.zeros(count, np.int64)
    np.maximum.at(result, instance, values)
    return result
