"""From the architecture tree to the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.cascade import CascadeMaskRCNN
from napari_sartorius.nn.centermask import CenterMask
from napari_sartorius.nn.config import (
    CascadeMaskRCNNConfig,
    CenterMaskConfig,
    Detectron2Config,
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


def _classifier(config: ImageClassifierConfig) -> Network:
    from napari_sartorius.nn.classifier import ImageClassifier  # imports timm, which takes a second

    return ImageClassifier(config)


_FAMILIES: dict[type[Tree], Callable[[Any], Network]] = {
    MaskRCNNConfig: MaskRCNN,
    CascadeMaskRCNNConfig: CascadeMaskRCNN,
    HTCConfig: HybridTaskCascade,
    ImageClassifierConfig: _classifier,
    CenterMaskConfig: CenterMask,
    SOLOv2Config: SOLOv2,
}


def build_network(config: Architecture) -> Network:
    """Untrained network of this architecture; the tree's family decides which.

    Raises
    ------
    UserError
        For a network that detectron2 builds and runs: it can only be loaded from its bundle.
    """
    refuse_untrainable(config)
    return _FAMILIES[type(config)](config)


def refuse_untrainable(config: Architecture) -> None:
    """Say before a long preparation that a network cannot be trained here.

    Raises
    ------
    UserError
        For a network that detectron2 builds and runs.
    """
    if isinstance(config, Detectron2Config):
        raise UserError(
            "a network that runs in detectron2 cannot be trained here; train it with detectron2 "
            "and import the result, or start from another model"
        )
