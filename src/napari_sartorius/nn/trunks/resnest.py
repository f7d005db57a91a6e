"""ResNeSt trunks: timm's blocks, which are those of the published detectors, and their options."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import timm
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.deformable import DeformableConv2d
from napari_sartorius.nn.norms import normalisation
from napari_sartorius.nn.trunks.freeze import batch_norms, parts_up_to
from napari_sartorius.nn.trunks.split_attention import SplitAttn, take_over
from napari_sartorius.nn.trunks.trunk import Trunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_sartorius.nn.config import ResNeStConfig
    from napari_sartorius.nn.config.norms import TrunkNorm

_NAMES = {
    14: "resnest14d",
    26: "resnest26d",
    50: "resnest50d",
    101: "resnest101e",
    200: "resnest200e",
}


class ResNeStTrunk(Trunk):
    """ResNeSt (Zhang et al. 2020) as detectron2's fork of its authors builds it.

    timm agrees with that fork in all that changes numbers: three stem convolutions, strides by a
    3x3 average pool that counts its padding, shortcuts by one that does not, nothing between split
    attention and the last convolution of a block.

    Parameters
    ----------
    config
        Depth and options.

    Raises
    ------
    UserError
        When a batch of one image shall train batch normalisation: the attention has one value for
        each channel of an image, and one value has no variance.
    """

    def __init__(self, config: ResNeStConfig) -> None:
        super().__init__()
        self.body = timm.create_model(
            _NAMES[config.depth],
            features_only=True,
            in_chans=config.in_channels,
            out_indices=(-4, -3, -2, -1),
            norm_layer=_norm_layer(config.norm),
            # A frozen scale that starts at zero would silence its block for ever.
            zero_init_last=config.norm != "frozen",
        )
        take_over(self.body)
        layers: Any = self.body
        layers.conv1[0].stride = (config.stem_stride, config.stem_stride)
        for stage in (layers.layer1, layers.layer2, layers.layer3, layers.layer4):
            _name_shortcut(stage[0])
        if config.deformable:
            for stage in (layers.layer2, layers.layer3, layers.layer4):
                _deform(stage)
        self.strides = tuple(s * config.stem_stride // 2 for s in (4, 8, 16, 32))
        self.channels = (256, 512, 1024, 2048)

    def forward(self, batch: Tensor) -> list[Tensor]:
        """Four feature maps of a (B, C, H, W) batch, finest first."""
        if len(batch) < 2 and any(norm.training for norm in batch_norms(self.body)):
            raise UserError(
                "a ResNeSt with batch normalisation learns from batches of two images or more; "
                "choose a larger batch size, or the norm 'frozen' or 'group'"
            )
        maps: list[Tensor] = self.body(batch)
        return maps

    def first_parts(self, count: int) -> list[nn.Module]:
        """Layers of the stem (1), of what leads to the first map too (2), and so on up to 5."""
        return parts_up_to(self.body, [f"layer{i}" for i in range(1, 5)], count)


def _norm_layer(kind: TrunkNorm) -> Callable[..., nn.Module]:
    """How timm makes a normalisation; the device that it names is the current one anyway."""

    def layer(channels: int, **place: Any) -> nn.Module:
        del place
        return normalisation(kind, channels)

    return layer


def _name_shortcut(block: Any) -> None:
    """Call the layers of a shortcut as those of a ResNet are called, whose first is no pool."""
    pool, convolution, norm = block.downsample
    block.downsample = nn.Sequential(OrderedDict([("pool", pool), ("0", convolution), ("1", norm)]))


def _deform(stage: nn.Module) -> None:
    """Let the 3x3 convolutions of a stage choose where they look."""
    for module in stage.modules():
        if isinstance(module, SplitAttn):
            regular = module.conv
            module.conv = DeformableConv2d(
                regular.in_channels, regular.out_channels, groups=regular.groups
            )
            nn.init.kaiming_normal_(module.conv.weight, mode="fan_out", nonlinearity="relu")
