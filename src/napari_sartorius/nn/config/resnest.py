"""Residual networks with split attention."""

from __future__ import annotations

from typing import Literal

from napari_sartorius.nn.config.norms import TrunkNorm
from napari_sartorius.nn.config.tree import Tree


class ResNeStConfig(Tree):
    """ResNeSt (Zhang et al. 2020) with deep stem and average-pooled strides, strides 4 to 32.

    Parameters
    ----------
    depth
        Layers; the published detectors have 200, and 14 and 26 are for little data and time.
    in_channels
        Channels of the input, 1 (grey) or 3 (RGB).
    stem_stride
        Stride of the first convolution; 1 doubles the resolution of every level.
    deformable
        Whether the 3x3 convolutions of the last three stages are modulated deformable ones (Zhu et
        al. 2019) with two groups of offsets, as in the published detectors of LIVECell.
    norm
        Normalisation after every convolution.
    """

    kind: Literal["resnest"] = "resnest"
    depth: Literal[14, 26, 50, 101, 200] = 50
    in_channels: Literal[1, 3] = 3
    stem_stride: Literal[1, 2] = 2
    deformable: bool = False
    norm: TrunkNorm = "batch"
