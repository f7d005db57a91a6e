"""Objects that annotators saved twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks


def doubled_masks(
    masks: CropMasks, iou: float, area: NDArray[np.int64] | None = None
) -> NDArray[np.bool_]:
    """Which masks (G,) overlap an earlier one by more than `iou`; `area` (G,) where it is known."""
    doubled = np.zeros(len(masks), np.bool_)
    if len(masks) > 1:
        area = masks.area() if area is None else area
        rows, columns, shared = masks.overlaps()
        doubled[columns[shared > iou * (area[rows] + area[columns] - shared)]] = True
    return doubled
