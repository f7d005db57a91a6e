"""Generated images with two kinds of cells, and a network small enough for a test."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    ProposalConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.training.config import AugmentConfig, TrainConfig
from napari_sartorius.training.images import AnnotatedImage, pack_image


def disc_image(
    seed: int, side: int = 96, count: int = 7
) -> tuple[np.ndarray, CropMasks, np.ndarray]:
    """Bright discs (category 0) and dark squares (category 1) on noise."""
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 4, (side, side))
    yy, xx = np.mgrid[:side, :side]
    masks, categories = [], []
    taken = np.zeros((side, side), bool)
    while len(masks) < count:
        y, x, radius = rng.integers(8, side - 8), rng.integers(8, side - 8), rng.integers(5, 9)
        kind = len(masks) % 2
        if kind == 0:
            mask = (yy - y) ** 2 + (xx - x) ** 2 <= radius**2
        else:
            mask = (abs(yy - y) <= radius) & (abs(xx - x) <= radius)
        if (taken & mask).any():
            continue
        taken |= mask
        image[mask] += 50 if kind == 0 else -50
        masks.append(mask)
        categories.append(kind)
    return (
        image.clip(0, 255).astype(np.uint8),
        CropMasks.from_full(np.stack(masks)),
        np.array(categories),
    )


@pytest.fixture(scope="session")
def discs() -> list[AnnotatedImage]:
    """Six packed images."""
    return [
        pack_image(f"{seed}.png", *disc_image(seed), Normalisation(), 1, {"group": seed % 2})
        for seed in range(6)
    ]


@pytest.fixture
def tiny_config() -> TrainConfig:
    """A run that takes seconds on one core."""
    return TrainConfig(
        architecture=MaskRCNNConfig(
            num_classes=2,
            trunk=TrunkConfig(name="resnet18", widths=(16, 32, 48, 64)),
            pyramid=PyramidConfig(width=16),
            proposals=ProposalConfig(
                batch_per_image=64, pre_nms_topk_train=200, post_nms_topk_train=100
            ),
            box_head=BoxHeadConfig(width=32, batch_per_image=32),
            mask_head=MaskHeadConfig(width=16, layers=1, batch_per_image=16),
        ),
        augment=AugmentConfig(scale=(0.9, 1.1)),
        crop=96,
        batch_size=2,
        steps=6,
        learning_rate=2e-3,
        warmup_steps=2,
        ema=0.9,
        validate_every=3,
        checkpoint_every=2,
        precision="float32",
        device="cpu",
        threads=1,
    )
