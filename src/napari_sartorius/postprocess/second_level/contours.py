"""What OpenCV says of the outline of each object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import MissingPackage
from napari_sartorius.postprocess.second_level import names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks


def contour_features(masks: CropMasks) -> dict[str, NDArray[np.float64]]:
    """Measure the outline that encloses the largest area.

    Parameters
    ----------
    masks : CropMasks
        N masks.

    Returns
    -------
    dict of str to (N,) float64
        ``centroid_x``, ``centroid_y`` (whole pixels of the image, cut off); ``num_contours``
        (holes are counted); ``equi_diameter`` (of a disc as large as the outline encloses);
        ``hull_area``; ``solidity`` (0..1); ``is_convex`` (0 or 1); ``perimeter``;
        ``rotation_ang`` (degrees), ``major_axis_length`` and ``minor_axis_length`` (the two axes
        of the fitted ellipse in OpenCV's order, the first mostly the shorter; -1 where none can
        be fitted). Not-a-number for empty masks; an outline without area, such as a line one
        pixel wide, has its middle as centre, and no solidity.

    Raises
    ------
    MissingPackage
        When OpenCV is missing.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingPackage(
            'rescoring needs OpenCV; install it with pip install "napari-sartorius[all]"'
        ) from error
    tight = masks.tight()
    table = np.full((len(tight), len(names.CONTOUR)), np.nan)
    corners = tight.boxes[:, :2].astype(np.float64)
    for i, bitmap in enumerate(tight):
        if bitmap.size:
            table[i] = _measure(cv2, bitmap.view(np.uint8), corners[i])
    return dict(zip(names.CONTOUR, table.T.copy(), strict=True))


def _measure(cv2: Any, bitmap: NDArray[np.uint8], corner: NDArray[np.float64]) -> tuple[Any, ...]:
    outlines, _ = cv2.findContours(bitmap, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    largest = int(np.argmax(areas))
    outline, area = outlines[largest], areas[largest]
    if area > 0:
        moments = cv2.moments(outline)
        x, y = moments["m10"] / area, moments["m01"] / area
    else:
        x, y = outline.reshape(-1, 2).mean(axis=0).tolist()
    hull_area = cv2.contourArea(cv2.convexHull(outline))
    angle = major = minor = -1.0
    if len(outline) >= 5:
        _, (major, minor), angle = cv2.fitEllipse(outline)
    return (
        np.floor(x + corner[0]),
        np.floor(y + corner[1]),
        len(outlines),
        np.sqrt(4 * area / np.pi),
        hull_area,
        area / hull_area if hull_area else np.nan,
        cv2.isContourConvex(outline),
        cv2.arcLength(outline, True),
        angle,
        major,
        minor,
    )
