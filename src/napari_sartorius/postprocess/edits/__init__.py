"""Corrections of objects that need morphology: splitting, smoothing, filling, drawn outlines.

They keep the rules of `core.edits`: a tool returns a `Patch` and writes nothing.
"""

from napari_sartorius.postprocess.edits.drawing import polygon_mask, stroke_pixels
from napari_sartorius.postprocess.edits.outline import fill_object_holes, smooth
from napari_sartorius.postprocess.edits.piece import one_piece
from napari_sartorius.postprocess.edits.split import Split, split_by_line, split_by_seeds

__all__ = [
    "Split",
    "fill_object_holes",
    "one_piece",
    "polygon_mask",
    "smooth",
    "split_by_line",
    "split_by_seeds",
    "stroke_pixels",
]
