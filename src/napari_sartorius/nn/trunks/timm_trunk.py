"""Trunks from timm with the options that small cells need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
from torch import nn

from napari_sartorius.nn.trunks.trunk import Trunk

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import TrunkConfig


class TimmTrunk(Trunk):
    """A timm feature extractor with four levels, strides 4 to 32 (2 to 16 with stem stride 1).

    Parameters
    ----------
    config
        Which network and how its stem is changed.

    Attributes
    ----------
    strides, channels
        Stride and number of channels of each level, finest first.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        options: dict[str, Any] = {}
        if config.widths is not None:
            options["channels"] = config.widths
        self.body = timm.create_model(
            config.name,
            features_only=True,
            in_chans=config.in_channels,
            out_indices=(-4, -3, -2, -1),
            **options,
        )
        info = _feature_info(self.body)
        if tuple(info.reduction()) != (4, 8, 16, 32):
            raise ValueError(f"{config.name} has no levels with strides 4, 8, 16 and 32")
        if config.stem_stride == 1:
            _remove_stem_stride(self.body, config.name)
        if config.stride_in_1x1:
            _stride_into_1x1(self.body)
        self.strides = tuple(int(r) * config.stem_stride // 2 for r in info.reduction())
        self.channels = tuple(int(c) for c in info.channels())

    def forward(self, batch: Tensor) -> list[Tensor]:
        """Four feature maps of a (B, C, H, W) batch, finest first."""
        maps: list[Tensor] = self.body(batch)
        return maps


def _feature_info(body: nn.Module) -> Any:
    """What timm knows of its levels; its type is not published."""
    return body.feature_info


def _remove_stem_stride(body: nn.Module, name: str) -> None:
    """Set the first strided convolution to stride 1, as the 11th-place system did."""
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            if module.stride != (2, 2):
                raise ValueError(f"{name} has no stride-2 first convolution to change")
            module.stride = (1, 1)
            return


def _stride_into_1x1(body: nn.Module) -> None:
    """Move each bottleneck's stride from its 3x3 to its first 1x1 convolution."""
    for module in body.modules():
        conv1, conv2 = getattr(module, "conv1", None), getattr(module, "conv2", None)
        if not (isinstance(conv1, nn.Conv2d) and isinstance(conv2, nn.Conv2d)):
            continue
        if conv1.kernel_size == (1, 1):
            conv1.stride, conv2.stride = conv2.stride, conv1.stride
