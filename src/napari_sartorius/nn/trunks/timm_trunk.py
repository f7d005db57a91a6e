"""Trunks from timm with the options that small cells need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.trunks.freeze import (
    batch_norms,
    freeze,
    parts_up_to,
    replace_with_group_norm,
)
from napari_sartorius.nn.trunks.trunk import Trunk

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor

    from napari_sartorius.nn.config import TrunkConfig

_STRIDES = (4, 8, 16, 32)
# Attention windows are shifted unless one window covers the image for which a Swin is made. This
# is large enough for shifts on every level, whatever the size of the images that are met.
_SWIN_IMAGE = 1024


class TimmTrunk(Trunk):
    """A timm feature extractor with four levels, strides 4 to 32 (2 to 16 with stem stride 1).

    Parameters
    ----------
    config
        Which network and how its stem and its normalisation are changed.

    Attributes
    ----------
    strides, channels
        Stride and number of channels of each level, finest first.

    Raises
    ------
    UserError
        When timm has no such network, it has other levels, or it cannot be changed as asked.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.body = _create(config)
        info: Any = self.body.feature_info  # its type is not published
        if tuple(info.reduction()) != _STRIDES:
            raise UserError(
                f"the network {config.name} has no levels with strides 4, 8, 16 and 32; choose "
                "another trunk"
            )
        self._channels_last = "NHWC" in str(getattr(self.body, "output_fmt", ""))
        if config.stem_stride == 1:
            _halve_stem_stride(self.body, config.name)
        if config.stride_in_1x1:
            _stride_into_1x1(self.body)
        self.strides = tuple(stride * config.stem_stride // 2 for stride in _STRIDES)
        self.channels = tuple(int(c) for c in info.channels())
        # What leaves a stage of a network without batch normalisation was never normalised; the
        # published detectors with Swin and Focal trunks do it level by level.
        plain = not batch_norms(self.body)
        self.level_norms = nn.ModuleList(nn.LayerNorm(c) for c in self.channels if plain)
        self._change_norms(config)
        self._levels = _level_names(self.body, info.module_name())
        self._frozen += self.first_parts(config.frozen_stages)
        freeze(self._frozen)

    def first_parts(self, count: int) -> list[nn.Module]:
        """Layers of the stem (1), of what leads to the first map too (2), and so on up to 5."""
        return parts_up_to(self.body, self._levels, count)

    def _change_norms(self, config: TrunkConfig) -> None:
        """Freeze or replace batch normalisation, and remember what must stay frozen."""
        norms = batch_norms(self.body)
        if config.norm_eps is not None:
            for norm in norms:
                norm.eps = config.norm_eps
        self._frozen: list[nn.Module] = []
        if config.norm == "batch":
            return
        if not norms:
            raise UserError(
                f"the network {config.name} has no batch normalisation that could become "
                f"{config.norm!r}; choose the norm 'batch', which leaves it as it is"
            )
        if config.norm == "group":
            replace_with_group_norm(self.body)
        else:
            self._frozen += norms

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but what is frozen."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, batch: Tensor) -> list[Tensor]:
        """Four feature maps of a (B, C, H, W) batch, finest first."""
        maps: list[Tensor] = self.body(batch)
        if not len(self.level_norms):
            return maps
        last = maps if self._channels_last else [m.permute(0, 2, 3, 1) for m in maps]
        return [norm(m).permute(0, 3, 1, 2) for norm, m in zip(self.level_norms, last, strict=True)]


def _create(config: TrunkConfig) -> nn.Module:
    options: dict[str, Any] = {}
    if config.widths is not None:
        options["channels"] = config.widths
    if config.drop_path > 0:
        options["drop_path_rate"] = config.drop_path
    if config.name.startswith("swin"):
        options |= {"img_size": _SWIN_IMAGE, "strict_img_size": False}
    try:
        body: nn.Module = timm.create_model(
            config.name,
            features_only=True,
            in_chans=config.in_channels,
            out_indices=(-4, -3, -2, -1),
            **options,
        )
    except (RuntimeError, TypeError, AssertionError, IndexError) as error:
        # timm has no common class for a name it does not know and options a network lacks.
        raise UserError(
            f"timm cannot make the trunk {config.name} with these options ({error}); choose "
            "another name or leave the options out"
        ) from error
    return body


def _level_names(body: nn.Module, names: list[str]) -> list[str]:
    """Names of the modules of the levels, whose dots timm turns into underscores here and there."""
    modules = dict(body.named_modules())
    return [name if name in modules else name.replace(".", "_") for name in names]


def _halve_stem_stride(body: nn.Module, name: str) -> None:
    """Let the first strided convolution make half the stride, as the 11th-place system did.

    A stride of 2 becomes 1. Where the stem cuts patches of 4 pixels their stride becomes 2, and
    as much is padded as keeps the map at half the size of the image.
    """
    first = next(module for module in body.modules() if isinstance(module, nn.Conv2d))
    if first.stride == (2, 2):
        first.stride = (1, 1)
    elif first.stride == (4, 4) and isinstance(first.padding, tuple):
        first.stride = (2, 2)
        first.padding = tuple((side - 1) // 2 for side in first.kernel_size)
    else:
        raise UserError(
            f"the network {name} has no first convolution of stride 2 or 4, so its stem stride "
            "cannot be 1; choose another trunk or the stem stride 2"
        )


def _stride_into_1x1(body: nn.Module) -> None:
    """Move each bottleneck's stride from its 3x3 to its first 1x1 convolution."""
    for module in body.modules():
        conv1, conv2 = getattr(module, "conv1", None), getattr(module, "conv2", None)
        if not (isinstance(conv1, nn.Conv2d) and isinstance(conv2, nn.Conv2d)):
            continue
        if conv1.kernel_size == (1, 1):
            conv1.stride, conv2.stride = conv2.stride, conv1.stride
