"""What is kept of a prediction: thresholds, mask NMS, overlap removal, size and shape filters.

Model cards hold lists of filters, and the viewer reads cards before anything else: what the filters
need (scipy, scikit-image) is imported when one is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sartorius.postprocess.chopped import drop_chopped
    from napari_sartorius.postprocess.convex_polygons import fill_convex_polygons
    from napari_sartorius.postprocess.filters import apply
    from napari_sartorius.postprocess.nms import mask_nms
    from napari_sartorius.postprocess.overlap import remove_overlap
    from napari_sartorius.postprocess.overlapped import drop_overlapped
    from napari_sartorius.postprocess.shape_filter import keep_by_shape
    from napari_sartorius.postprocess.shapes import fill_holes, largest_component
    from napari_sartorius.postprocess.small import drop_smallest
    from napari_sartorius.postprocess.thresholds import (
        keep_by_score,
        keep_by_size,
        majority_category,
    )

__all__ = [
    "apply",
    "drop_chopped",
    "drop_overlapped",
    "drop_smallest",
    "fill_convex_polygons",
    "fill_holes",
    "keep_by_score",
    "keep_by_shape",
    "keep_by_size",
    "largest_component",
    "majority_category",
    "mask_nms",
    "remove_overlap",
]

_FILES = {
    "apply": "filters",
    "drop_chopped": "chopped",
    "drop_overlapped": "overlapped",
    "drop_smallest": "small",
    "fill_convex_polygons": "convex_polygons",
    "fill_holes": "shapes",
    "keep_by_score": "thresholds",
    "keep_by_shape": "shape_filter",
    "keep_by_size": "thresholds",
    "largest_component": "shapes",
    "majority_category": "thresholds",
    "mask_nms": "nms",
    "remove_overlap": "overlap",
}


def __getattr__(name: str) -> Any:
    """Import a filter when it is first asked for."""
    if name in _FILES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
