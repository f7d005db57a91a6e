"""Masks as the published cell-shape analysis measured them: redrawn from simplified outlines.

The notebook fills holes, traces the border, shifts it by a pixel that was never padded, simplifies
it, cuts off fractions and fills it again, so cells are a little larger than their masks and lie up
to two pixels higher and further left. Needed only to reproduce its tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import find_contours

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess.shapes import fill_holes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_SHIFT = -1
_TOLERANCE = 1.0


def redrawn(masks: CropMasks) -> CropMasks:
    """Return each mask drawn again from the first of its published outlines.

    A mask without any outline becomes empty.

    Raises
    ------
    UserError
        If OpenCV, whose way of filling polygons was used, is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            "Published shape tables need OpenCV, which is not installed: "
            'run pip install "napari-sartorius[all]".'
        ) from error

    bitmaps, corners = [], []
    for outlines in published_outlines(masks):
        points = outlines[0].astype(np.int32) if outlines else np.zeros((0, 2), np.int32)
        corner = points.min(axis=0, initial=2**31 - 1) if len(points) else np.zeros(2, np.int32)
        width, height = (points - corner).max(axis=0, initial=-1) + 1
        bitmap = np.zeros((height, width), np.uint8)
        if bitmap.size:
            cv2.fillPoly(bitmap, [points - corner], 1)
        bitmaps.append(bitmap)
        corners.append(corner)
    return CropMasks.from_bitmaps(bitmaps, np.array(corners).reshape(-1, 2), masks.image_size)


def published_outlines(masks: CropMasks) -> list[list[Floats]]:
    """Return for each mask its outlines, (K, 2) x and y, the last point equal to the first."""
    filled = fill_holes(Instances.from_masks(masks)).masks
    return [_outlines(filled, i) for i in range(len(filled))]


def _outlines(masks: CropMasks, i: int) -> list[Floats]:
    x0, y0, x1, y1 = masks.boxes[i].tolist()
    # Space around the mask, but none beyond the image: there its outline stays open.
    left, top = max(x0 - 2, 0), max(y0 - 2, 0)
    right, bottom = min(x1 + 2, masks.image_size[1]), min(y1 + 2, masks.image_size[0])
    window = np.zeros((bottom - top, right - left), np.float64)
    window[y0 - top : y1 - top, x0 - left : x1 - left] = masks.bitmap(i)
    if min(window.shape) < 2 or not window.any():
        return []
    lines = find_contours(window, 0.5, positive_orientation="low")  # type: ignore[no-untyped-call]
    rings = (simplified(line[:, ::-1] + (left + _SHIFT, top + _SHIFT)) for line in lines)
    return [np.maximum(ring, 0) for ring in rings if len(ring) > 3]


def simplified(line: Floats, tolerance: float = _TOLERANCE) -> Floats:
    """Leave out points of a ring that lie within `tolerance` of it (Douglas and Peucker, 1973).

    Parameters
    ----------
    line : (K, 2) float64
        Points; the first is appended if the last differs.
    tolerance : float
        In the unit of the points. Of equally distant points the first is kept.
    """
    if (line[0] != line[-1]).any():
        line = np.concatenate([line, line[:1]])
    keep = np.zeros(len(line), np.bool_)
    keep[[0, -1]] = True
    sections = [(0, len(line) - 1)]
    while sections:
        first, last = sections.pop()
        if last - first < 2:
            continue
        distances = _distances(line[first + 1 : last], line[first], line[last])
        middle = first + 1 + int(distances.argmax())
        if distances.max() > tolerance:
            keep[middle] = True
            sections += [(first, middle), (middle, last)]
    return line[keep]


def _distances(points: Floats, begin: Floats, end: Floats) -> Floats:
    """Distances of points (K, 2) to the straight piece from `begin` to `end`."""
    along, away = end - begin, points - begin
    length = float(along @ along)
    to_begin: Floats = np.sqrt((away**2).sum(axis=1))
    if length == 0:
        return to_begin
    share = away @ along / length
    beside = np.abs((away[:, 1] * along[0] - away[:, 0] * along[1]) / length) * np.sqrt(length)
    to_end = np.sqrt(((points - end) ** 2).sum(axis=1))
    found: Floats = np.where(share <= 0, to_begin, np.where(share >= 1, to_end, beside))
    return found
