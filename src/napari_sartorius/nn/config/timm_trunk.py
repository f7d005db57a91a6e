"""Trunks that timm holds."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from napari_sartorius.nn.config.tree import Tree


class TrunkConfig(Tree):
    """A timm network that turns an image into feature maps of growing stride.

    Parameters
    ----------
    name
        Any timm name that offers ``features_only``, e.g. ``resnet18``, ``resnet50``.
    in_channels
        Channels of the input, 1 (grey) or 3 (RGB).
    stem_stride
        Stride of the first convolution. 1 doubles the resolution of every level, which is how the
        11th-place Sartorius system kept cells of ten pixels visible.
    widths
        Channels of the four residual stages, multiples of 16; None keeps timm's own. ResNets
        only.
    stride_in_1x1
        Bottleneck blocks put their stride in the first 1x1 convolution as the original
        detectron2 ResNets do; False puts it in the 3x3 as torchvision and timm do.
    """

    kind: Literal["timm"] = "timm"
    name: str = "resnet18"
    in_channels: Literal[1, 3] = 1
    stem_stride: Literal[1, 2] = 1
    widths: tuple[int, int, int, int] | None = None
    stride_in_1x1: bool = False

    @field_validator("widths")
    @classmethod
    def _full_vectors(cls, widths: tuple[int, ...] | None) -> tuple[int, ...] | None:
        # oneDNN's weight gradient of a strided 1x1 convolution from 8 channels writes outside its
        # memory (seen with torch 2.15 on AVX-512); 16 channels fill a vector and are safe.
        if widths is not None and any(width < 16 or width % 16 for width in widths):
            raise ValueError("widths must be multiples of 16")
        return widths
