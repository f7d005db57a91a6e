"""Objects that lie mostly under better ones are doubles (6th place of the Sartorius challenge)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.postprocess.taken import TakenPixels, contested_best_first
from napari_sartorius.postprocess.thresholds import per_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.instances import Instances


def drop_overlapped(instances: Instances, most: float | Sequence[float]) -> Instances:
    """Drop objects of which too much lies under better objects together, and empty ones.

    Unlike mask NMS it also finds the small object inside a large one, whose IoU is low, and the
    object that several others cover.

    Parameters
    ----------
    instances : Instances
        Objects of one image; equal scores are taken in the order they stand.
    most : float or sequence of float
        Largest share, 0 to 1, of an object's pixels that kept objects of higher score may have;
        one for all, or one per category. The 6th place took 0.2.

    Returns
    -------
    Instances
        The kept objects with all their pixels, in the order of the input.
    """
    limits = per_object(most, instances.categories)
    areas = instances.masks.area()
    kept = areas > 0
    taken = TakenPixels(instances.masks)
    for i in contested_best_first(instances):
        mask, under = instances.masks.bitmap(i), taken.under(i)
        if np.count_nonzero(mask & under) > limits[i] * areas[i]:
            kept[i] = False
        else:
            under |= mask
    return instances[kept]
