"""Size and shape of every object in one pass, defined as in scikit-image's regionprops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core import runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks


def region_table(
    masks: CropMasks, pixel_size_um: float | tuple[float, float] | None = None
) -> dict[str, NDArray[Any]]:
    """Measure masks.

    Parameters
    ----------
    masks : CropMasks
        N masks; each counts as one region however many parts it has.
    pixel_size_um : float or (y, x), optional
        Side of a pixel in micrometres.

    Returns
    -------
    dict of str to (N,) array
        ``area`` (pixels); ``centroid_y``, ``centroid_x`` (pixel i has its centre at i);
        ``bbox_x0``, ``bbox_y0``, ``bbox_x1``, ``bbox_y1`` (pixel edges); ``major_axis``,
        ``minor_axis`` (axes of the ellipse with the same second moments, pixels); ``solidity``
        (area over area of the convex hull). With a pixel size all but solidity again in
        micrometres, as ``area_um2``, ``centroid_y_um`` and so on. Empty masks have not-a-number
        for centroid, axes and solidity.

    Raises
    ------
    ValueError
        If the pixel size is not positive.
    """
    tight = masks.tight()
    corner = tight.boxes[:, :2].astype(np.float64)
    lines = row_runs(tight)
    area, mean, moments = _moments(lines, len(tight))
    boxes = tight.boxes
    table: dict[str, NDArray[Any]] = {
        "area": area.astype(np.int64),
        "centroid_y": mean[:, 0] + corner[:, 1],
        "centroid_x": mean[:, 1] + corner[:, 0],
        "bbox_x0": boxes[:, 0].astype(np.int64),
        "bbox_y0": boxes[:, 1].astype(np.int64),
        "bbox_x1": boxes[:, 2].astype(np.int64),
        "bbox_y1": boxes[:, 3].astype(np.int64),
    }
    table["major_axis"], table["minor_axis"] = _axes(moments, 1.0, 1.0)
    with np.errstate(invalid="ignore"):
        table["solidity"] = area / _convex_areas(lines, boxes[:, 3] - boxes[:, 1])
    if pixel_size_um is None:
        return table

    size_y, size_x = (
        (pixel_size_um, pixel_size_um)
        if isinstance(pixel_size_um, float | int)
        else (pixel_size_um[0], pixel_size_um[1])
    )
    if not (size_y > 0 and size_x > 0):
        raise ValueError(f"pixel size must be positive, got {pixel_size_um}")
    table["area_um2"] = area * (size_y * size_x)
    for name in ("centroid_y", "centroid_x", "bbox_x0", "bbox_y0", "bbox_x1", "bbox_y1"):
        side = size_y if "y" in name.rsplit("_", 1)[1] else size_x
        table[f"{name}_um"] = table[name] * side
    table["major_axis_um"], table["minor_axis_um"] = _axes(moments, size_y, size_x)
    return table


def row_runs(masks: CropMasks) -> runs.Runs:
    """Return horizontal runs, each in coordinates of its own box so that sums stay small."""
    widths = (masks.boxes[:, 2] - masks.boxes[:, 0]).astype(np.int64)
    return runs.runs_of_bits(masks.bits, masks.offsets, widths, np.zeros((len(masks), 2), np.int64))


def _moments(
    lines: runs.Runs, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return area (N,), mean y and x (N, 2), central second moments yy, xx, xy over area (N, 3)."""

    def total(values: NDArray[np.int64]) -> NDArray[np.float64]:
        sums: NDArray[Any] = np.bincount(lines.instance, weights=values, minlength=count)
        return sums

    def squares_below(k: NDArray[np.int64]) -> NDArray[np.int64]:
        return (k - 1) * k * (2 * k - 1) // 6

    y, a, b = lines.line, lines.start, lines.stop
    length = b - a
    sum_x = length * (a + b - 1) // 2
    area = total(length)
    with np.errstate(invalid="ignore"):
        mean_y, mean_x = total(length * y) / area, total(sum_x) / area
        yy = total(length * y * y) / area - mean_y**2
        xx = total(squares_below(b) - squares_below(a)) / area - mean_x**2
        xy = total(sum_x * y) / area - mean_y * mean_x
    return area, np.stack([mean_y, mean_x], axis=1), np.stack([yy, xx, xy], axis=1)


def _axes(
    moments: NDArray[np.float64], size_y: float, size_x: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return major and minor axis length of the ellipses with these second moments."""
    yy, xx = moments[:, 0] * size_y**2, moments[:, 1] * size_x**2
    xy = moments[:, 2] * size_y * size_x
    half, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    # Rounding can push the smaller eigenvalue of a line a hair below nothing.
    return 4 * np.sqrt(np.maximum(half + spread, 0)), 4 * np.sqrt(np.maximum(half - spread, 0))


def _convex_areas(lines: runs.Runs, heights: NDArray[np.int32]) -> NDArray[np.float64]:
    """Count the pixels whose centre lies in the convex hull of the pixels' edge midpoints.

    `lines` are the rows of tight masks. Works with whole numbers in half pixels, so that points
    on the hull's border are decided exactly.
    """
    if not len(lines.instance):
        return np.zeros(len(heights), np.float64)
    new_row = np.ones(len(lines.line), np.bool_)
    new_row[1:] = (lines.line[1:] != lines.line[:-1]) | (lines.instance[1:] != lines.instance[:-1])
    first = np.flatnonzero(new_row)
    last = np.append(first[1:], len(new_row)) - 1
    mask, row = lines.instance[first], lines.line[first]
    left = _left_border(mask, row, lines.start[first], heights)
    right = -_left_border(mask, row, 1 - lines.stop[last], heights)
    of_mask = np.repeat(np.arange(len(heights)), heights)
    counts: NDArray[Any] = np.bincount(of_mask, weights=right - left + 1, minlength=len(heights))
    return counts


def _left_border(
    mask: NDArray[np.int64],
    row: NDArray[np.int64],
    x: NDArray[np.int64],
    heights: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Return the leftmost pixel inside the hull for every row of every mask.

    `mask`, `row` and `x` list the leftmost pixel of each row that has one, in order. The hull's
    left border is the lower convex envelope of x over y.
    """
    # Each pixel brings the midpoints of its upper, left and lower edge, in half pixels; where the
    # next row follows, the lower edge of one is the upper edge of the other, and the left one of
    # both midpoints counts.
    follows = np.zeros(len(row), np.bool_)
    follows[1:] = (row[1:] == row[:-1] + 1) & (mask[1:] == mask[:-1])
    points = np.empty((len(row), 3, 2), np.int64)
    points[:, :, 0] = 2 * row[:, None] + (-1, 0, 1)
    points[:, :, 1] = 2 * x[:, None] - (0, 1, 0)
    shared = np.flatnonzero(follows)
    points[shared - 1, 2, 1] = 2 * np.minimum(x[shared - 1], x[shared])
    kept = np.ones((len(row), 3), np.bool_)
    kept[shared, 0] = False
    y, x = points[kept].T
    mask = np.repeat(mask, 3 - follows)
    # A point on or above the line between its neighbours is no corner, whatever else is dropped
    # in the same round, so all masks are worked on at once until nothing changes.
    while True:
        ends = np.ones(len(y), np.bool_)
        ends[1:-1] = (mask[:-2] != mask[1:-1]) | (mask[2:] != mask[1:-1])
        corner = ends.copy()
        corner[1:-1] |= (x[1:-1] - x[:-2]) * (y[2:] - y[1:-1]) < (x[2:] - x[1:-1]) * (
            y[1:-1] - y[:-2]
        )
        if corner.all():
            break
        mask, y, x = mask[corner], y[corner], x[corner]

    of_mask = np.repeat(np.arange(len(heights)), heights)
    starts = np.repeat(np.cumsum(heights, dtype=np.int64) - heights, heights)
    line = 2 * (np.arange(len(of_mask)) - starts)
    pitch = 2 * int(heights.max()) + 2
    before = np.searchsorted(mask * pitch + y, of_mask * pitch + line, side="right") - 1
    rise = y[before + 1] - y[before]
    doubled = x[before] * rise + (x[before + 1] - x[before]) * (line - y[before])
    rounded_up: NDArray[np.int64] = -(-doubled // (2 * rise))
    return rounded_up
