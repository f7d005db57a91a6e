"""Trunks that timm holds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from napari_sartorius.nn.config.norms import TrunkNorm
from napari_sartorius.nn.config.tree import Tree


class TrunkConfig(Tree):
    """A timm network that turns an image into feature maps of growing stride.

    Tried with each of these: ResNet (``resnet50``), ResNeXt (``resnext101_32x4d``,
    ``resnext101_64x4d``), EfficientNet (``tf_efficientnet_b4`` to ``b6``), EfficientNetV2
    (``tf_efficientnetv2_s``), Swin (``swin_tiny_patch4_window7_224`` to ``swin_large_...``) and
    FocalNet (``focalnet_tiny_srf``), the maintained successor of the Focal Transformer.

    Parameters
    ----------
    name
        Any timm name that offers ``features_only`` with levels of strides 4, 8, 16 and 32.
    in_channels
        Channels of the input, 1 (grey) or 3 (RGB).
    stem_stride
        Stride of the first convolution, where 2 stands for the published network. 1 doubles the
        resolution of every level, which is how the 11th-place Sartorius system kept cells of ten
        pixels visible. Networks that begin with patches of 4 pixels (Swin, FocalNet) then
        take one every 2 pixels; the weights are the same.
    widths
        Channels of the four residual stages, multiples of 16; None keeps timm's own. ResNets
        only.
    stride_in_1x1
        Bottleneck blocks put their stride in the first 1x1 convolution as the original
        detectron2 ResNets do; False puts it in the 3x3 as torchvision and timm do.
    norm
        What becomes of batch normalisation: ``batch`` trains it, ``frozen`` keeps its statistics
        and weights as they are also in training (for batches of one or two images), ``group``
        puts group normalisation (Wu and He 2018) in its place. Swin and FocalNet have layer
        normalisation and take ``batch`` only, which leaves them alone.
    norm_eps
        What is added to the variance; None keeps timm's. torchvision's COCO models add 0.
    frozen_stages
        How many parts stay as they are in training, counted from the input: 0 none, 1 the stem,
        2 the first level too, and so on up to 5.
    drop_path
        Share of residual branches that are skipped at random in training (Huang et al. 2016).
    """

    kind: Literal["timm"] = "timm"
    name: str = "resnet18"
    in_channels: Literal[1, 3] = 1
    stem_stride: Literal[1, 2] = 1
    widths: tuple[int, int, int, int] | None = None
    stride_in_1x1: bool = False
    norm: TrunkNorm = "batch"
    norm_eps: float | None = Field(default=None, ge=0, le=1)
    frozen_stages: int = Field(default=0, ge=0, le=5)
    drop_path: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("widths")
    @classmethod
    def _full_vectors(cls, widths: tuple[int, ...] | None) -> tuple[int, ...] | None:
        # oneDNN's weight gradient of a strided 1x1 convolution from 8 channels writes outside its
        # memory (seen with torch 2.15 on AVX-512); 16 channels fill a vector and are safe.
        if widths is not None and any(width < 16 or width % 16 for width in widths):
            raise ValueError("widths must be multiples of 16")
        return widths
