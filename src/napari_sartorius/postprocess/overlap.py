"""One pixel, one cell: predictions of an image must not overlap in a label image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.postprocess.thresholds import keep_by_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.instances import Instances


def remove_overlap(instances: Instances, min_size: float | Sequence[float] = 1) -> Instances:
    """Leave every pixel to the object of highest score and drop what becomes too small.

    Parameters
    ----------
    instances : Instances
        Objects of one image; equal scores are taken in the order they stand.
    min_size : float or sequence of float
        Smallest area in pixels that an object may have afterwards; one number, or one per
        category. Emptied objects are always dropped.

    Returns
    -------
    Instances
        Objects that share no pixel, in the order of the input, with boxes tight around what is
        left of them.
    """
    order = np.argsort(-instances.scores, kind="stable")
    apart = instances.with_masks(instances.masks.remove_overlap(order).tight())
    return keep_by_size(apart, np.maximum(np.asarray(min_size), 1).tolist())
