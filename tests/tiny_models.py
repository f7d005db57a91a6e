"""A network small enough to run in a moment, its card, and a bundle of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def tiny_architecture(num_classes: int = 2) -> MaskRCNNConfig:
    """Trunk, pyramid and heads of a few channels."""
    return MaskRCNNConfig(
        num_classes=num_classes,
        trunk=TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        pyramid=PyramidConfig(width=8),
        box_head=BoxHeadConfig(width=16, layers=1),
        mask_head=MaskHeadConfig(width=8, layers=1),
    )


def tiny_card(**changes: Any) -> ModelCard:
    """Card of a model named "tiny" with the categories "big" and "small"."""
    fields: dict[str, Any] = {
        "name": "tiny",
        "title": "Tiny",
        "description": "Random weights for tests.",
        "categories": (
            CategoryCard(name="big", colour="#e69f00"),
            CategoryCard(name="small", colour="#56b4e9"),
        ),
        "cell_diameter": 10.0,
        "architecture": tiny_architecture(),
        "licence": "CC0-1.0",
        "training_data": "none",
    }
    return ModelCard(**(fields | changes))


def save_tiny_bundle(folder: Path, **changes: Any) -> ModelBundle:
    """Write a bundle whose random weights always find something."""
    torch.manual_seed(0)
    everything = Thresholds(score=0.0, mask=0.1, nms=1.0, min_size=0)
    card = tiny_card(**({"thresholds": {"big": everything, "small": everything}} | changes))
    return save_bundle(folder, card, build_network(card.architecture).state_dict())
