"""Crops as a run would draw them, as pictures for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sartorius.nn.targets import truth_at
from napari_sartorius.training.crops import CropSampler
from napari_sartorius.training.images import sampling_weights
from napari_sartorius.training.sampling import FixedSampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.normalise import Normalisation
    from napari_sartorius.nn.targets import Target
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.images import AnnotatedImage


@dataclass(frozen=True)
class CropPicture:
    """One training crop to look at.

    Attributes
    ----------
    pixels
        (S, S, 3) uint8, the grey levels that the screen shows; padding is middle grey.
    labels
        (S, S) uint16, 0 where no object is; where objects overlap the smaller one is on top.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint16]


def preview_crops(
    images: Sequence[AnnotatedImage], config: TrainConfig, count: int, seed: int
) -> list[CropPicture]:
    """Draw `count` crops as a run with this configuration would.

    Parameters
    ----------
    images
        Packed training images, at least one.
    config
        Crop side, augmentation, balance and normalisation of the run.
    count
        Number of pictures.
    seed
        Start of the random numbers; the same seed gives the same pictures.
    """
    weights = sampling_weights(
        images, config.balance, config.balance_field, config.architecture.num_classes
    )
    sampler = CropSampler(images, FixedSampling(weights), config.crop, config.augment, seed)
    crops, targets = sampler.batch(0, count)
    return [
        CropPicture(
            display_levels(crop.numpy(), config.normalisation), label_picture(target, crop.shape[1])
        )
        for crop, target in zip(crops, targets, strict=True)
    ]


def display_levels(crop: NDArray[np.float32], normalisation: Normalisation) -> NDArray[np.uint8]:
    """Network values (C, S, S) as (S, S, 3) uint8 grey levels.

    What `percentile` brings to -2..2 becomes 0..255; for `fixed`, mean and deviation are taken
    back.
    """
    if normalisation.method == "percentile":
        levels = (crop + 2) * (255 / 4)
    else:
        mean, std = (
            np.asarray(v, np.float32).reshape(-1, 1, 1)
            for v in (normalisation.mean, normalisation.std)
        )
        levels = crop * std + mean
    if normalisation.channel_order == "BGR" and len(levels) == 3:
        levels = levels[::-1]
    shown = np.clip(np.rint(levels), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(np.broadcast_to(shown, (*shown.shape[:2], 3)))


def label_picture(target: Target, side: int) -> NDArray[np.uint16]:
    """The truth of a crop painted into (side, side) uint16, objects numbered from 1."""
    labels = np.zeros((side, side), np.uint16)
    boxes = target.boxes.numpy()
    size = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in np.argsort(-size, kind="stable"):
        x0, y0 = np.floor(np.clip(boxes[i, :2], 0, side)).astype(int)
        x1, y1 = np.ceil(np.clip(boxes[i, 2:], 0, side)).astype(int)
        value = truth_at(
            target,
            torch.tensor(i),
            torch.arange(x0, x1)[None] + 0.5,
            torch.arange(y0, y1)[:, None] + 0.5,
        )
        labels[y0:y1, x0:x1][value.numpy() >= 0.5] = i + 1
    return labels
