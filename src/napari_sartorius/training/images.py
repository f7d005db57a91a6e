"""Annotated images packed in memory, ready to be cropped hundreds of times a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.normalise import Normalisation, normalise, to_channels
from napari_sartorius.training.doubled_masks import doubled_masks

if TYPE_CHECKING:
    from collections.abc import Sequence


_DOUBLED_IOU = 0.9
"""Above it an object repeats an earlier one."""


@dataclass
class AnnotatedImage:
    """One image with its objects.

    Attributes
    ----------
    name
        File name.
    pixels
        (Y, X, C) float16, normalised.
    masks
        The G objects.
    categories
        (G,) int64, 0-based.
    extra
        Further fields of the image's record, such as its split or group.
    """

    name: str
    pixels: NDArray[np.float16]
    masks: CropMasks
    categories: NDArray[np.int64]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def main_category(self) -> int:
        """The most frequent category, -1 where there is none."""
        return int(np.bincount(self.categories).argmax()) if len(self.categories) else -1


def pack_image(
    name: str,
    image: NDArray[Any],
    masks: CropMasks,
    categories: NDArray[np.int64],
    normalisation: Normalisation,
    channels: int,
    extra: dict[str, Any] | None = None,
) -> AnnotatedImage:
    """Normalise the whole image once, drop doubled and empty objects."""
    pixels = normalise(to_channels(image, 1 if channels == 1 else 3), normalisation)
    keep = np.flatnonzero((masks.area() > 0) & ~doubled_masks(masks, _DOUBLED_IOU))
    return AnnotatedImage(
        name, pixels.astype(np.float16), masks[keep], categories[keep], extra or {}
    )


def sampling_weights(
    images: Sequence[AnnotatedImage], balance: str, balance_field: str, num_classes: int
) -> NDArray[np.float64]:
    """Probability (N,) of drawing each image so that categories or groups come equally often."""
    if balance == "image":
        return np.full(len(images), 1 / len(images))
    if balance == "group":
        keys = [str(image.extra.get(balance_field, "")) for image in images]
    else:
        keys = [str(image.main_category) for image in images]
    names, index, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(names) * counts[index]), dtype=np.float64)
