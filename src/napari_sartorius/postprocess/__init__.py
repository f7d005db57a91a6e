"""What is kept of a prediction: thresholds, mask NMS, overlap removal, size filters."""

from __future__ import annotations

from napari_sartorius.postprocess.nms import mask_nms
from napari_sartorius.postprocess.overlap import remove_overlap
from napari_sartorius.postprocess.shapes import fill_holes, largest_component
from napari_sartorius.postprocess.thresholds import (
    keep_by_score,
    keep_by_size,
    majority_category,
)

__all__ = [
    "fill_holes",
    "keep_by_score",
    "keep_by_size",
    "largest_component",
    "majority_category",
    "mask_nms",
    "remove_overlap",
]
