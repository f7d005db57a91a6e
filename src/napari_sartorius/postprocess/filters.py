"""Runs the filters that a card or a person lists, in the order of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.postprocess import filter_config as fc
from napari_sartorius.postprocess.chopped import drop_chopped
from napari_sartorius.postprocess.convex_polygons import fill_convex_polygons
from napari_sartorius.postprocess.nms import mask_nms
from napari_sartorius.postprocess.overlap import remove_overlap
from napari_sartorius.postprocess.overlapped import drop_overlapped
from napari_sartorius.postprocess.shape_filter import keep_by_shape
from napari_sartorius.postprocess.shapes import fill_holes, largest_component
from napari_sartorius.postprocess.small import drop_smallest
from napari_sartorius.postprocess.thresholds import keep_by_score, keep_by_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances

_LENGTHS = {"major_axis": 1, "minor_axis": 1, "area": 2}


def apply(
    filters: Iterable[fc.FilterConfig],
    instances: Instances,
    names: Sequence[str],
    *,
    scale: float = 1.0,
) -> Instances:
    """Run filters one after the other, in the order of the list.

    The usual order is that of the 11th place (`recipes.theoviel`): score, mask NMS, size, then what
    changes masks, and overlap removal last. `chopped` removes overlaps, too, and stands in its
    place.

    Parameters
    ----------
    filters : iterable of FilterConfig
        As a card lists them.
    instances : Instances
        Objects of one image.
    names : sequence of str
        Names by category index.
    scale : float
        Image pixels per pixel that the filters speak of, along one side.

    Returns
    -------
    Instances
        What is left, in the order of the input.

    Raises
    ------
    UserError
        When a filter needs a package that is missing.
    ValueError
        When a filter names a category that is not in `names`.
    """
    filters = tuple(filters)
    unknown = fc.unknown_categories(filters, names)
    if unknown:
        raise ValueError(f"filters name unknown categories: {', '.join(sorted(unknown))}")
    for one in filters:
        instances = _run(one, instances, names, scale)
    return instances


def _run(
    one: fc.FilterConfig, instances: Instances, names: Sequence[str], scale: float
) -> Instances:
    match one:
        case fc.ScoreFilter():
            return keep_by_score(instances, _by_index(one.minimum, names, -np.inf))
        case fc.MaskNmsFilter():
            limits = _by_index(one.iou, names, 1.0)
            return mask_nms(instances, limits, within_category=one.within_category)
        case fc.MinSizeFilter():
            sizes = _by_index(one.pixels, names, 0.0, scale**2)
            return (drop_smallest if one.compat else keep_by_size)(instances, sizes)
        case fc.LargestComponentFilter():
            return _only(one.only, names, instances, largest_component)
        case fc.FillHolesFilter():
            return _only(one.only, names, instances, fill_holes)
        case fc.ShapeFilter():
            factor = scale ** _LENGTHS.get(one.feature, 0)
            low = -np.inf if one.minimum is None else one.minimum
            high = np.inf if one.maximum is None else one.maximum
            return keep_by_shape(
                instances,
                one.feature,
                _by_index(low, names, -np.inf, factor),
                _by_index(high, names, np.inf, factor),
            )
        case fc.OverlappedFilter():
            return drop_overlapped(instances, _by_index(one.most, names, 1.0))
        case fc.ConvexPolygonsFilter():
            return _only(one.only, names, instances, fill_convex_polygons)
        case fc.RemoveOverlapFilter():
            return remove_overlap(instances, _by_index(one.min_size, names, 1.0, scale**2))
        case fc.ChoppedFilter():
            return drop_chopped(instances, _by_index(one.most_lost, names, 1.0), compat=one.compat)
    raise AssertionError(one)


def _by_index(
    value: float | dict[str, float], names: Sequence[str], otherwise: float, factor: float = 1.0
) -> list[float]:
    """Value of each category; `otherwise`, which drops nothing, where none is named."""
    if not isinstance(value, dict):
        return [value * factor] * len(names)
    return [value[name] * factor if name in value else otherwise for name in names]


def _only(
    only: tuple[str, ...],
    names: Sequence[str],
    instances: Instances,
    change: Callable[[Instances, NDArray[np.bool_] | None], Instances],
) -> Instances:
    """Change the objects of some categories; of all when none is named."""
    if not only:
        return change(instances, None)
    wanted = [index for index, name in enumerate(names) if name in only]
    return change(instances, np.isin(instances.categories, wanted))
