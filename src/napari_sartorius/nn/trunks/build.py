"""From a trunk's tree to the trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.nn.config import ResNeStConfig, TrunkConfig, VoVNetConfig
from napari_sartorius.nn.trunks.resnet import ResNetTrunk, is_plain
from napari_sartorius.nn.trunks.vovnet import VoVNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.nn.config import AnyTrunk
    from napari_sartorius.nn.config.tree import Tree
    from napari_sartorius.nn.trunks.trunk import Trunk


def _from_timm(config: TrunkConfig) -> Trunk:
    """Trunk of timm's name; timm itself is imported only where there is no own network."""
    if is_plain(config):
        return ResNetTrunk(config)
    from napari_sartorius.nn.trunks.timm_trunk import TimmTrunk

    return TimmTrunk(config)


def _resnest(config: ResNeStConfig) -> Trunk:
    from napari_sartorius.nn.trunks.resnest import ResNeStTrunk  # built on timm, too

    return ResNeStTrunk(config)


_TRUNKS: dict[type[Tree], Callable[[Any], Trunk]] = {
    TrunkConfig: _from_timm,
    ResNeStConfig: _resnest,
    VoVNetConfig: VoVNet,
}


def build_trunk(config: AnyTrunk) -> Trunk:
    """Untrained trunk of this tree; its type decides which."""
    return _TRUNKS[type(config)](config)
