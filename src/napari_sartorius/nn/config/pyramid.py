"""The feature pyramid."""

from __future__ import annotations

from pydantic import model_validator

from napari_sartorius.nn.config.norms import Norm, check_groups
from napari_sartorius.nn.config.tree import Tree


class PyramidConfig(Tree):
    """Feature pyramid: lateral 1x1, nearest upsampling and sum, 3x3 output.

    Parameters
    ----------
    width
        Channels of every pyramid level.
    norm
        Normalisation after every convolution; ``none`` uses biased convolutions as detectron2's
        stock models do.
    extra_level
        Adds one level by subsampling the coarsest (detectron2's p6), for proposals only.
    """

    width: int = 96
    norm: Norm = "batch"
    extra_level: bool = False

    @model_validator(mode="after")
    def _groups_divide(self) -> PyramidConfig:
        check_groups(self.norm, self.width)
        return self
