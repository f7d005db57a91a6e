"""Small networks of several families with random weights that find something everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    AttentiveMaskHeadConfig,
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    CenterMaskConfig,
    FCOSConfig,
    HTCConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    ProposalConfig,
    PyramidConfig,
    SemanticConfig,
    TopPyramidConfig,
    TrunkConfig,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.nn.network import Network

_CENTERMASK: dict[str, Any] = {
    "num_classes": 2,
    "trunk": TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
    "pyramid": TopPyramidConfig(width=16),
    "fcos": FCOSConfig(class_layers=1, box_layers=1, groups=4, candidate_score=0.0),
    "mask_head": AttentiveMaskHeadConfig(width=8, layers=1),
    "mask_iou_head": None,
}
_FAMILIES: dict[str, Any] = {
    "mask_rcnn": MaskRCNNConfig,
    "cascade": CascadeMaskRCNNConfig,
    "htc": HTCConfig,
}


def make_network(family: str = "mask_rcnn", seed: int = 0, **changes: Any) -> Network:
    """Network in evaluation mode; the same seed and tree give the same weights."""
    head = {"width": 16, "layers": 1} | changes.pop("box_head", {})
    mask_head = {"width": 8, "layers": 1} | changes.pop("mask_head", {})
    fields: dict[str, Any] = {
        "num_classes": 2,
        "trunk": TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        "pyramid": PyramidConfig(width=8),
        "proposals": ProposalConfig(pre_nms_topk_test=200, post_nms_topk_test=150),
        "box_head": BoxHeadConfig(**head),
        "mask_head": MaskHeadConfig(**mask_head),
    }
    if family == "htc":
        fields["semantic"] = SemanticConfig(layers=1)
    torch.manual_seed(seed)
    network = build_network(_FAMILIES[family](**(fields | changes)))
    for name, layer in network.named_modules():
        # Predictors begin near zero; here all have something to say.
        if isinstance(layer, nn.Linear | nn.Conv2d) and layer.weight.std() < 0.02:
            nn.init.normal_(layer.weight, std=0.05 if name.endswith("deltas") else 0.3)
    return network.eval()


def make_centermask() -> Network:
    """A network without anchors, which finds and scores an object in one stage."""
    torch.manual_seed(3)
    return build_network(CenterMaskConfig(**_CENTERMASK)).eval()


@pytest.fixture(scope="session")
def centermask() -> Network:
    return make_centermask()


@pytest.fixture(scope="session")
def network() -> Callable[..., Network]:
    return make_network


@pytest.fixture(scope="session")
def pictures() -> torch.Tensor:
    """Two noisy pictures (2, 1, 64, 96) of which the second is smaller: see `sizes`."""
    torch.manual_seed(7)
    batch = torch.randn(2, 1, 64, 96)
    batch[1, :, 50:] = 0
    batch[1, :, :, 70:] = 0
    return batch


@pytest.fixture(scope="session")
def sizes() -> list[tuple[int, int]]:
    return [(64, 96), (50, 70)]
