"""Feature pyramid network (Lin et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from napari_sartorius.nn.norms import normalisation

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import PyramidConfig
    from napari_sartorius.nn.config.norms import Norm


def conv_block(inputs: int, outputs: int, kernel: int, norm: Norm, relu: bool) -> nn.Sequential:
    """Convolution that keeps the size, with a normalisation or with a bias."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=norm == "none")
    ]
    if norm != "none":
        layers.append(normalisation(norm, outputs))
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class TopLevels(nn.Module):
    """Levels above the coarsest one by 3x3 convolutions of stride 2 (Lin et al. 2017b).

    All but the first see the level below through a ReLU; the levels themselves have none.
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride=2, padding=1) for _ in range(levels)
        )
        for module in self.convs:
            assert isinstance(module, nn.Conv2d)
            nn.init.kaiming_uniform_(module.weight, a=1)
            assert module.bias is not None
            nn.init.zeros_(module.bias)

    def forward(self, coarsest: Tensor) -> list[Tensor]:
        """Further levels of a (B, C, H, W) one, finest first."""
        levels: list[Tensor] = []
        for conv in self.convs:
            below = functional.relu(levels[-1]) if levels else coarsest
            levels.append(_strided(conv, below))
        return levels


def _strided(conv: nn.Module, below: Tensor) -> Tensor:
    """The next level; from a single pixel in float32.

    The processor's bfloat16 kernel leaves parts of the weight gradient of such a convolution
    unwritten (oneDNN as in torch 2.14), so that it holds whatever was in memory.
    """
    kind = below.device.type
    if below.shape[-2:] != (1, 1) or not torch.is_autocast_enabled(kind):
        return cast("Tensor", conv(below))
    with torch.autocast(kind, enabled=False):
        return cast("Tensor", conv(below.float()))


class Pyramid(nn.Module):
    """Maps of equal width: each level sees the coarser ones through an upsampled sum."""

    def __init__(self, channels: tuple[int, ...], config: PyramidConfig) -> None:
        super().__init__()
        width, norm = config.width, config.norm
        self.lateral = nn.ModuleList(conv_block(c, width, 1, norm, relu=False) for c in channels)
        self.output = nn.ModuleList(conv_block(width, width, 3, norm, relu=False) for _ in channels)
        self.extra_level = config.extra_level
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Levels of `config.width` channels, finest first, at the strides of `maps`."""
        merged = self.lateral[-1](maps[-1])
        levels = [self.output[-1](merged)]
        for i in range(len(maps) - 2, -1, -1):
            size = maps[i].shape[-2:]
            above, merged = merged, self.lateral[i](maps[i])
            # In place: nothing that makes gradients needs what a lateral layer gave.
            merged += functional.interpolate(above, size=size)
            levels.insert(0, self.output[i](merged))
        if self.extra_level:
            levels.append(levels[-1][:, :, ::2, ::2])
        return levels
