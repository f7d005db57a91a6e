"""From the architecture tree to the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.nn.cascade import CascadeMaskRCNN
from napari_sartorius.nn.config import CascadeMaskRCNNConfig
from napari_sartorius.nn.mask_rcnn import MaskRCNN

if TYPE_CHECKING:
    from napari_sartorius.nn.config import MaskRCNNConfig


def build_network(config: MaskRCNNConfig) -> MaskRCNN:
    """Untrained network of this architecture; the tree's family decides which."""
    if isinstance(config, CascadeMaskRCNNConfig):
        return CascadeMaskRCNN(config)
    return MaskRCNN(config)
