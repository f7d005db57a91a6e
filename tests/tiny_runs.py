"""A run of a tiny network on generated images, the same in every process that imports this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.images import AnnotatedImage, pack_image

if TYPE_CHECKING:
    from collections.abc import Sequence


def square_image(seed: int, side: int = 64) -> AnnotatedImage:
    """Six bright squares on noise, none on another."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(100, 4, (side, side))
    masks = []
    for place in rng.permutation(9)[:6]:
        y, x = 4 + 20 * (place // 3) + rng.integers(6), 4 + 20 * (place % 3) + rng.integers(6)
        mask = np.zeros((side, side), bool)
        mask[y : y + 10, x : x + 10] = True
        pixels[mask] += 50
        masks.append(mask)
    return pack_image(
        f"{seed}.png",
        pixels.clip(0, 255).astype(np.uint8),
        CropMasks.from_full(np.stack(masks)),
        np.zeros(len(masks), np.int64),
        Normalisation(),
        1,
    )


def tiny_run(**changes: Any) -> TrainConfig:
    """A configuration whose step takes some 20 ms on one core."""
    settings: dict[str, Any] = {
        "architecture": tiny_network(),
        "crop": 64,
        "batch_size": 2,
        "steps": 8,
        "learning_rate": 2e-3,
        "warmup_steps": 2,
        "ema": 0.9,
        "validate_every": 3,
        "checkpoint_every": 2,
        "precision": "float32",
        "device": "cpu",
        "threads": 1,
    }
    return TrainConfig(**(settings | changes))


def tiny_network(sampled: int = 32) -> MaskRCNNConfig:
    """One class; heads learn from so many boxes of each crop."""
    return MaskRCNNConfig(
        num_classes=1,
        trunk=TrunkConfig(name="resnet18", stem_stride=2, widths=(16, 16, 16, 16)),
        pyramid=PyramidConfig(width=16),
        proposals=ProposalConfig(
            batch_per_image=sampled, pre_nms_topk_train=100, post_nms_topk_train=50
        ),
        box_head=BoxHeadConfig(width=16, batch_per_image=sampled),
        mask_head=MaskHeadConfig(width=16, layers=1, batch_per_image=sampled),
    )


def squares(count: int) -> Sequence[AnnotatedImage]:
    """So many images."""
    return [square_image(seed) for seed in range(count)]
