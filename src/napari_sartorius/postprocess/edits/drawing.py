"""From what a hand drew to pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def polygon_mask(
    points: NDArray[Any], shape: tuple[int, int]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Fill a closed stroke.

    Parameters
    ----------
    points : (N, 2) float
        (y, x) along the stroke, pixel i having its centre at i; the last point is joined to the
        first. Points may lie outside the image.
    shape : (height, width)
        Of the image.

    Returns
    -------
    mask : (h, w) bool
        The pixels inside and on the stroke, cut to the image; (0, 0) when there are none.
    corner : (y, x)
        Where the mask's first pixel lies.
    """
    from skimage import draw

    polygon: Any = draw.polygon  # scikit-image has no types for it
    points = np.asarray(points, np.float64)
    rows, columns = polygon(points[:, 0], points[:, 1], shape)
    along_y, along_x = stroke_pixels(np.concatenate([points, points[:1]]), shape)
    rows, columns = np.concatenate([rows, along_y]), np.concatenate([columns, along_x])
    if not len(rows):
        return np.zeros((0, 0), np.bool_), (0, 0)
    top, left = int(rows.min()), int(columns.min())
    mask = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), np.bool_)
    mask[rows - top, columns - left] = True
    return mask, (top, left)


def stroke_pixels(
    points: NDArray[Any], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixels (rows, columns) under an open stroke, none twice.

    Neighbouring pixels of the stroke share at least a corner, so it parts what is connected along
    pixel edges. See `polygon_mask` for the parameters.
    """
    points = np.asarray(points, np.float64)
    steps = np.abs(np.diff(points, axis=0)).max(axis=1) if len(points) > 1 else np.zeros(0)
    pieces = [
        # two samples per pixel, so that no pixel along the way is left out
        np.linspace(a, b, 2 * int(np.ceil(step)) + 1)
        for a, b, step in zip(points[:-1], points[1:], steps, strict=True)
    ]
    samples = np.concatenate([points[:1], *pieces]) if len(points) else np.zeros((0, 2))
    pixels = np.floor(samples + 0.5).astype(np.int64)
    inside = ((pixels >= 0) & (pixels < np.array(shape))).all(axis=1)
    pixels = np.unique(pixels[inside], axis=0)
    return pixels[:, 0], pixels[:, 1]
