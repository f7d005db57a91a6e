"""VoVNetV2, the trunk of CenterMask2: layers whose outputs are joined once.

timm has networks of the same name, but weighs channels in the last block of a stage only, where
the published detectors do so in every block.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_sartorius.nn.config.norms import GROUPS
from napari_sartorius.nn.norms import normalisation
from napari_sartorius.nn.trunks.freeze import parts_up_to
from napari_sartorius.nn.trunks.places import mean_of_places
from napari_sartorius.nn.trunks.trunk import Trunk

if TYPE_CHECKING:
    from napari_sartorius.nn.config import VoVNetConfig
    from napari_sartorius.nn.config.norms import TrunkNorm


class _Size(NamedTuple):
    """Channels of the inner layers and of the output, and blocks, of each of four stages."""

    inner: tuple[int, int, int, int]
    outputs: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    layers: int


_WIDE = (128, 160, 192, 224), (256, 512, 768, 1024)
_SLIM = (64, 80, 96, 112), (112, 256, 384, 512)
_SIZES = {
    "19-slim": _Size(*_SLIM, (1, 1, 1, 1), 3),
    "19": _Size(*_WIDE, (1, 1, 1, 1), 3),
    "39": _Size(*_WIDE, (1, 1, 2, 2), 5),
    "57": _Size(*_WIDE, (1, 1, 4, 3), 5),
    "99": _Size(*_WIDE, (1, 3, 9, 3), 5),
}
_STEM = (64, 64, 128)


class VoVNet(Trunk):
    """VoVNetV2 with effective squeeze-excitation (Lee and Park 2020), as CenterMask2 builds it.

    Parameters
    ----------
    config
        Its size, and how its stem and its normalisation are changed.

    Attributes
    ----------
    strides, channels
        4 to 32 (2 to 16 with stem stride 1), and the channels of each level, finest first.
    """

    def __init__(self, config: VoVNetConfig) -> None:
        super().__init__()
        size = _SIZES[config.size]
        inputs = (config.in_channels, *_STEM[:2])
        strides = (config.stem_stride, 1, 2)
        self.stem = nn.Sequential(
            *(
                _conv(i, o, 3, config.norm, s)
                for i, o, s in zip(inputs, _STEM, strides, strict=True)
            )
        )
        width = _STEM[-1]
        stages: list[nn.Module] = []
        for inner, outputs, blocks in zip(size.inner, size.outputs, size.blocks, strict=True):
            parts: list[nn.Module] = []
            for block in range(blocks):
                parts.append(
                    _Block(width, inner, outputs, size.layers, config.norm, identity=block > 0)
                )
                width = outputs
            stages.append(nn.Sequential(*parts))
        self.stages = nn.ModuleList(stages)
        self.strides = tuple(2 * config.stem_stride * 2**i for i in range(4))
        self.channels = size.outputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, batch: Tensor) -> list[Tensor]:
        """Four feature maps of a (B, C, H, W) batch, finest first."""
        hidden = self.stem(batch)
        maps: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            if number:
                hidden = functional.max_pool2d(hidden, 3, 2, ceil_mode=True)
            hidden = stage(hidden)
            maps.append(hidden)
        return maps

    def first_parts(self, count: int) -> list[nn.Module]:
        """Layers of the stem (1), of what leads to the first map too (2), and so on up to 5."""
        return parts_up_to(self, [f"stages.{i}" for i in range(4)], count)


class _Block(nn.Module):
    """One-shot aggregation: layers in a row, all their outputs joined once, channels weighed."""

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        layers: int,
        norm: TrunkNorm,
        *,
        identity: bool,
    ) -> None:
        super().__init__()
        self.identity = identity
        self.layers = nn.ModuleList(
            _conv(inputs if layer == 0 else inner, inner, 3, norm) for layer in range(layers)
        )
        self.join = _conv(inputs + layers * inner, outputs, 1, norm)
        self.weigh = nn.Conv2d(outputs, outputs, 1)

    def forward(self, given: Tensor) -> Tensor:
        outputs = [given]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        joined: Tensor = self.join(torch.cat(outputs, dim=1))
        weight = functional.hardsigmoid(self.weigh(mean_of_places(joined)))
        return torch.addcmul(given, joined, weight) if self.identity else joined * weight


def _conv(
    inputs: int, outputs: int, kernel: int, norm: TrunkNorm, stride: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        _normalisation(norm, outputs),
        nn.ReLU(inplace=True),
    )


def _normalisation(kind: TrunkNorm, channels: int) -> nn.Module:
    """As everywhere, with fewer groups where 32 do not divide a layer of the narrow network."""
    if kind == "group" and channels % GROUPS:
        return nn.GroupNorm(math.gcd(GROUPS, channels // 2), channels)
    return normalisation(kind, channels)
