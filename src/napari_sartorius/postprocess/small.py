"""Removal of small masks as a published pipeline does it, beside `thresholds.keep_by_size`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.postprocess.thresholds import per_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.instances import Instances


def drop_smallest(instances: Instances, sizes: float | Sequence[float]) -> Instances:
    """Drop the smallest mask if it is small, as the code of the 11th place does.

    Where any mask is small, only those as small as the smallest go, and all other small ones stay.
    That is a slip of the original, kept for reproducing its scores; `keep_by_size` removes all.

    Parameters
    ----------
    instances : Instances
        Objects of one image.
    sizes : float or sequence of float
        Pixels up to which a mask is small, this number included; 0 turns it off. One for all, or
        one per category.
    """
    areas = instances.masks.area()
    small = areas <= per_object(sizes, instances.categories)
    if not small.any():
        return instances
    kept = areas > areas[small].min()
    return instances[kept | ~small]
