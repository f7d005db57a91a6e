"""From a trunk's tree to the trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.nn.config import ResNeStConfig, TrunkConfig, VoVNetConfig
from napari_sartorius.nn.trunks.resnest import ResNeStTrunk
from napari_sartorius.nn.trunks.timm_trunk import TimmTrunk
from napari_sartorius.nn.trunks.vovnet import VoVNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.nn.config import AnyTrunk
    from napari_sartorius.nn.config.tree import Tree
    from napari_sartorius.nn.trunks.trunk import Trunk

_TRUNKS: dict[type[Tree], Callable[[Any], Trunk]] = {
    TrunkConfig: TimmTrunk,
    ResNeStConfig: ResNeStTrunk,
    VoVNetConfig: VoVNet,
}


def build_trunk(config: AnyTrunk) -> Trunk:
    """Untrained trunk of this tree; its type decides which."""
    return _TRUNKS[type(config)](config)
