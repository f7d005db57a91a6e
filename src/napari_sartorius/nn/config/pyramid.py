"""The feature pyramid."""

from __future__ import annotations

from typing import Literal

from napari_sartorius.nn.config.tree import Tree


class PyramidConfig(Tree):
    """Feature pyramid: lateral 1x1, nearest upsampling and sum, 3x3 output.

    Parameters
    ----------
    width
        Channels of every pyramid level.
    norm
        ``batch`` normalises every convolution (needed when training from scratch), ``none`` uses
        biased convolutions as detectron2's stock models do.
    extra_level
        Adds one level by subsampling the coarsest (detectron2's p6), for proposals only.
    """

    width: int = 96
    norm: Literal["batch", "none"] = "batch"
    extra_level: bool = False
