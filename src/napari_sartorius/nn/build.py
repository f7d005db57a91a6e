"""From the architecture tree to the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.nn.cascade import CascadeMaskRCNN
from napari_sartorius.nn.centermask import CenterMask
from napari_sartorius.nn.classifier import ImageClassifier
from napari_sartorius.nn.config import (
    CascadeMaskRCNNConfig,
    CenterMaskConfig,
    HTCConfig,
    ImageClassifierConfig,
    MaskRCNNConfig,
    SOLOv2Config,
)
from napari_sartorius.nn.htc import HybridTaskCascade
from napari_sartorius.nn.mask_rcnn import MaskRCNN
from napari_sartorius.nn.solov2 import SOLOv2

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.nn.config.tree import Tree
    from napari_sartorius.nn.network import Network

_FAMILIES: dict[type[Tree], Callable[[Any], Network]] = {
    MaskRCNNConfig: MaskRCNN,
    CascadeMaskRCNNConfig: CascadeMaskRCNN,
    HTCConfig: HybridTaskCascade,
    ImageClassifierConfig: ImageClassifier,
    CenterMaskConfig: CenterMask,
    SOLOv2Config: SOLOv2,
}


def build_network(config: Architecture) -> Network:
    """Untrained network of this architecture; the tree's family decides which."""
    return _FAMILIES[type(config)](config)
