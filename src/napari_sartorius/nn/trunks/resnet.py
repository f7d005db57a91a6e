"""Residual networks of our own: timm's numbers without the second that importing timm takes.

Names of weights are those of timm and torchvision, and so is every operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

from napari_sartorius.nn.largest import largest_nearby
from napari_sartorius.nn.rectified import RectifiedConv2d, added, rectified
from napari_sartorius.nn.trunks.freeze import parts_up_to
from napari_sartorius.nn.trunks.trunk import Trunk

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import TrunkConfig

# Blocks of each stage, and how many times wider a block's output is than its middle.
PLAIN_RESNETS = {
    "resnet18": ((2, 2, 2, 2), 1),
    "resnet34": ((3, 4, 6, 3), 1),
    "resnet50": ((3, 4, 6, 3), 4),
    "resnet101": ((3, 4, 23, 3), 4),
    "resnet152": ((3, 8, 36, 3), 4),
}
_STEM = 64
# What of a tree is understood here.
_UNDERSTOOD = {"name", "in_channels", "stem_stride", "widths", "stride_in_1x1"}


def is_plain(config: TrunkConfig) -> bool:
    """Whether `ResNetTrunk` can build this tree: a plain ResNet with all else as by default."""
    wishes = config.model_dump(exclude_defaults=True)
    return config.name in PLAIN_RESNETS and set(wishes) <= _UNDERSTOOD | {"kind"}


class ResNetTrunk(Trunk):
    """Plain ResNet (He et al. 2016) with four levels, strides 4 to 32 (2 to 16 with stem stride 1).

    Parameters
    ----------
    config
        One that `is_plain`.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.body = _Body(config)
        self.strides = tuple(step * config.stem_stride // 2 for step in (4, 8, 16, 32))
        self.channels = self.body.channels

    def forward(self, batch: Tensor) -> list[Tensor]:
        """Four feature maps of a (B, C, H, W) batch, finest first."""
        maps: list[Tensor] = self.body(batch)
        return maps

    def first_parts(self, count: int) -> list[nn.Module]:
        """Layers of the stem (1), of what leads to the first map too (2), and so on up to 5."""
        return parts_up_to(self.body, [f"layer{i}" for i in range(1, 5)], count)


class _Body(nn.Module):
    rectified_layers = ("conv1",)

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        depths, growth = PLAIN_RESNETS[config.name]
        widths = config.widths or (64, 128, 256, 512)
        self.conv1 = nn.Conv2d(
            config.in_channels, _STEM, 7, stride=config.stem_stride, padding=3, bias=False
        )
        self.bn1 = nn.BatchNorm2d(_STEM)
        inputs = _STEM
        self.channels = tuple(width * growth for width in widths)
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks: list[nn.Module] = []
            for place in range(depth):
                stride = 2 if place == 0 and i > 0 else 1
                if growth == 1:
                    blocks.append(_BasicBlock(inputs, width, stride))
                else:
                    blocks.append(_Bottleneck(inputs, width, growth, stride, config.stride_in_1x1))
                inputs = width * growth
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, _BasicBlock | _Bottleneck):
                # Every block begins as an identity.
                nn.init.zeros_(module.last_norm.weight)

    def forward(self, batch: Tensor) -> list[Tensor]:
        # The largest of values cut off at zero is the largest cut off at zero, and so are the
        # gradients: the other order takes four times the work at full resolution.
        hidden = largest_nearby(self.bn1(self.conv1(batch)))
        if not isinstance(self.conv1, RectifiedConv2d):
            hidden = functional.relu(hidden, inplace=True)
        maps = []
        for i in range(4):
            hidden = self.get_submodule(f"layer{i + 1}")(hidden)
            maps.append(hidden)
        return maps


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    rectified_layers = ("conv1",)
    added_layers = ("conv2",)

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn2

    def forward(self, given: Tensor) -> Tensor:
        hidden = rectified(self.conv1, given, self.bn1)
        return added(self.conv2, hidden, self.bn2, _beside(given, self.downsample))


class _Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, beside a shortcut."""

    rectified_layers = ("conv1", "conv2")
    added_layers = ("conv3",)

    def __init__(
        self, inputs: int, width: int, growth: int, stride: int, stride_in_1x1: bool
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * growth, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * growth)
        self.downsample = _shortcut(inputs, width * growth, stride)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn3

    def forward(self, given: Tensor) -> Tensor:
        hidden = rectified(self.conv1, given, self.bn1)
        hidden = rectified(self.conv2, hidden, self.bn2)
        return added(self.conv3, hidden, self.bn3, _beside(given, self.downsample))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to the shape of its output; None where it has it already."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
    )


def _beside(given: Tensor, shortcut: nn.Sequential | None) -> Tensor:
    """What a block adds to its convolutions.

    A block may overwrite it in detection: without a shortcut it was made by the block before or by
    the stem for this one alone, because the last block of a stage is followed by one with a
    shortcut.
    """
    if shortcut is None:
        return given
    made: Tensor = shortcut(given)
    return made
