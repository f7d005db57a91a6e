"""The trunk of CenterMask2."""

from __future__ import annotations

from typing import Literal

from napari_sartorius.nn.config.norms import TrunkNorm
from napari_sartorius.nn.config.tree import Tree


class VoVNetConfig(Tree):
    """VoVNetV2 with effective squeeze-excitation (Lee and Park 2020), strides 4 to 32.

    Parameters
    ----------
    size
        Layers; ``19-slim`` is the narrow one of CenterMask-Lite.
    in_channels
        Channels of the input, 1 (grey) or 3 (RGB).
    stem_stride
        Stride of the first convolution; 1 doubles the resolution of every level.
    norm
        Normalisation after every convolution. CenterMask2 trains with ``frozen``.
    """

    kind: Literal["vovnet"] = "vovnet"
    size: Literal["19-slim", "19", "39", "57", "99"] = "39"
    in_channels: Literal[1, 3] = 3
    stem_stride: Literal[1, 2] = 2
    norm: TrunkNorm = "batch"
