"""Overlap removal that gives up on objects of which too little would be left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess.shapes import largest_part
from napari_sartorius.postprocess.taken import TakenPixels, contested_best_first
from napari_sartorius.postprocess.thresholds import per_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances


def drop_chopped(
    instances: Instances,
    most_lost: float | Sequence[float] = 0.5,
    *,
    compat: Literal["mistag"] | None = None,
) -> Instances:
    """Leave every pixel to the best kept object; drop objects that overlaps chop up.

    Fill holes and keep the largest component first where masks need that: an object that loses
    nothing is not looked at.

    Parameters
    ----------
    instances : Instances
        Objects of one image; equal scores are taken in the order they stand.
    most_lost : float or sequence of float
        Largest share, 0 to 1, of its pixels that an object may lose, parts that are cut off from
        its largest part included; one for all, or one per category.
    compat : {"mistag"}, optional
        Reproduce the public weighted segments fusion: an object is dropped unless what is left has
        exactly one outline at 0.5. All that is left stays, in one part by definition, and
        `most_lost` says nothing.

    Returns
    -------
    Instances
        Objects that share no pixel, in the order of the input. The pixels of dropped ones went to
        the next. Boxes are tight.
    """
    limits = per_object(most_lost, instances.categories)
    masks = instances.masks
    bits = masks.bits.copy()
    areas = masks.area()
    kept = areas > 0
    taken = TakenPixels(masks)
    contested = contested_best_first(instances)
    left = CropMasks(bits, masks.boxes, masks.image_size)
    for i in contested:
        if not kept[i]:
            continue
        mask, under = left.bitmap(i), taken.under(i)
        rest = mask & ~under
        if compat == "mistag":
            kept[i] = _has_one_outline(rest, masks.boxes[i], masks.image_size)
        elif np.count_nonzero(rest) < areas[i]:
            rest = largest_part(rest)
            size = np.count_nonzero(rest)
            kept[i] = size > 0 and areas[i] - size <= limits[i] * areas[i]
        if kept[i]:
            mask[...] = rest
            under |= rest
    if compat == "mistag":
        for i in np.setdiff1d(np.flatnonzero(kept), contested).tolist():
            kept[i] = _has_one_outline(left.bitmap(i), masks.boxes[i], masks.image_size)
    return instances.with_masks(left.tight())[kept]


def _has_one_outline(
    bitmap: NDArray[np.bool_], box: NDArray[np.int32], image_size: tuple[int, int]
) -> bool:
    """Whether marching squares at 0.5 finds one line in the whole image with only this mask."""
    from skimage.measure import find_contours

    height, width = image_size
    x0, y0, x1, y1 = box.tolist()
    # Background around it, but none beyond the image: lines end at its border.
    around = ((min(y0, 1), min(height - y1, 1)), (min(x0, 1), min(width - x1, 1)))
    framed = np.pad(bitmap, around)
    if min(framed.shape) < 2:
        return False
    lines = find_contours(framed.astype(np.float64), 0.5)  # type: ignore[no-untyped-call]
    return len(lines) == 1
