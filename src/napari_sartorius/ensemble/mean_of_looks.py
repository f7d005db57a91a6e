"""Mean over all looks."""

from __future__ import annotations

from typing import Literal

from napari_sartorius.ensemble.options import FusionOptions, Overlap


class MeanOfLooks(FusionOptions):
    """Options of the mean over all looks.

    Attributes
    ----------
    iou
        Boxes of one category that overlap at least this much show the same object.
    """

    strategy: Literal["mean_of_looks"] = "mean_of_looks"
    iou: Overlap = 0.55
