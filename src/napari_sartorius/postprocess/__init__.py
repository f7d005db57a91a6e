"""What is kept of a prediction: thresholds, mask NMS, overlap removal, size and shape filters."""

from __future__ import annotations

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
