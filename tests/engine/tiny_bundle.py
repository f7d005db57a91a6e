"""A network small enough to run in a moment, with random weights that always find something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.zoo import CategoryCard, ModelBundle, ModelCard, Thresholds, save_bundle

if TYPE_CHECKING:
    from pathlib import Path


def save_tiny_bundle(folder: Path) -> ModelBundle:
    """Write a bundle named "tiny" with the categories "big" and "small"."""
    architecture = MaskRCNNConfig(
        num_classes=2,
        trunk=TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        pyramid=PyramidConfig(width=8),
        box_head=BoxHeadConfig(width=16, layers=1),
        mask_head=MaskHeadConfig(width=8, layers=1),
    )
    torch.manual_seed(0)
    network = build_network(architecture)
    none = Thresholds(score=0.0, mask=0.1, nms=1.0, min_size=0)
    card = ModelCard(
        name="tiny",
        title="Tiny",
        description="Random weights for tests.",
        categories=(
            CategoryCard(name="big", colour="#e69f00"),
            CategoryCard(name="small", colour="#56b4e9"),
        ),
        cell_diameter=10.0,
        architecture=architecture,
        thresholds={"big": none, "small": none},
        licence="CC0-1.0",
        training_data="none",
    )
    return save_bundle(folder, card, network.state_dict())
