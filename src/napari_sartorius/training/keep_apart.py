"""Validation with few images: a strip of each is kept apart, so that something measures the result.

With one to four corrected images there is none to spare for validation. Training on all of them
without measuring would hide overfitting, and measuring on what was trained on would be a lie.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.training.images import AnnotatedImage

STRIP = 0.25
"""Share of each image that is kept apart."""


def keep_apart(
    images: Sequence[AnnotatedImage], share: float = STRIP
) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    """Cut a strip off each image, at the end of its longer side.

    Parameters
    ----------
    images
        Packed images.
    share
        Of the longer side, 0..1.

    Returns
    -------
    training, validation
        As many images each; an object that the cut divides is in both, as its two parts.
    """
    training, validation = [], []
    for image in images:
        height, width = image.pixels.shape[:2]
        if width >= height:
            cut = round(width * (1 - share))
            windows = (0, 0, cut, height), (cut, 0, width, height)
        else:
            cut = round(height * (1 - share))
            windows = (0, 0, width, cut), (0, cut, width, height)
        training.append(_part(image, windows[0]))
        validation.append(_part(image, windows[1]))
    return training, validation


def _part(image: AnnotatedImage, window: tuple[int, int, int, int]) -> AnnotatedImage:
    x0, y0, x1, y1 = window
    masks, keep = image.masks.crop(x0, y0, x1, y1)
    return replace(
        image,
        pixels=image.pixels[y0:y1, x0:x1],
        masks=masks,
        categories=image.categories[keep],
    )
