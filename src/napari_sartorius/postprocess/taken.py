"""Objects one after the other, best first: each sees which pixels the kept ones have taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.overlap import overlapping_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.masks import CropMasks


class TakenPixels:
    """A picture of what is taken, as large as the masks reach.

    Parameters
    ----------
    masks : CropMasks
        The masks that will be looked at.
    """

    def __init__(self, masks: CropMasks) -> None:
        self._boxes = masks.boxes.tolist()
        corner = masks.boxes[:, :2].min(axis=0, initial=2**31 - 1)
        end = masks.boxes[:, 2:].max(axis=0, initial=0)
        self._x, self._y = corner.tolist()
        width, height = np.maximum(end - corner, 0).tolist()
        self._picture = np.zeros((height, width), np.bool_)

    def under(self, i: int) -> NDArray[np.bool_]:
        """View of the picture under the bitmap of mask `i`; writing to it takes pixels."""
        x0, y0, x1, y1 = self._boxes[i]
        return self._picture[y0 - self._y : y1 - self._y, x0 - self._x : x1 - self._x]


def contested_best_first(instances: Instances) -> list[int]:
    """Indices of the objects whose boxes meet another's, highest score first.

    All others keep their pixels whatever happens, so nobody needs to look at them one by one.
    """
    rows, cols = overlapping_boxes(instances.masks.boxes)
    contested = np.union1d(rows, cols)
    order: list[int] = contested[np.argsort(-instances.scores[contested], kind="stable")].tolist()
    return order
