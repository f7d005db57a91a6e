"""Local contrast, stronger edges and relief, with the strengths that albumentations draws from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.training.augment.config import AugmentConfig

_SHOWN = 2.0  # what a screen shows as white, in network units
_BINS = 256
_TILES = 8


def edged(
    rng: np.random.Generator, pixels: NDArray[np.float32], augment: AugmentConfig
) -> NDArray[np.float32]:
    """(H, W, C) pixels through each of the filters that is drawn."""
    if augment.clahe and rng.random() < augment.clahe:
        pixels = equalise_locally(pixels, float(rng.uniform(1, 4)))
    if augment.sharpen and rng.random() < augment.sharpen:
        pixels = sharpen(pixels, float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.5, 1)))
    if augment.emboss and rng.random() < augment.emboss:
        pixels = emboss(pixels, float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.2, 0.7)))
    return pixels


def equalise_locally(pixels: NDArray[np.float32], clip: float) -> NDArray[np.float32]:
    """CLAHE (Zuiderveld 1994) of the grey levels; colours move with them.

    Parameters
    ----------
    pixels
        (H, W, C), of which -2 to 2 is looked at, what a screen shows.
    clip
        Most that a histogram bin of one of the 8 x 8 tiles may hold, in multiples of its mean.
    """
    from skimage.exposure import equalize_adapthist

    grey = pixels.mean(axis=2)
    unit = np.clip(grey * (1 / (2 * _SHOWN)) + 0.5, 0, 1)
    tile = [max(2, -(-side // _TILES)) for side in grey.shape]
    equal = equalize_adapthist(unit, kernel_size=tile, clip_limit=clip / _BINS, nbins=_BINS)
    change = (equal.astype(np.float32) - 0.5) * (2 * _SHOWN) - grey
    return np.asarray(pixels + change[..., None])


def sharpen(pixels: NDArray[np.float32], alpha: float, lightness: float) -> NDArray[np.float32]:
    """Blend, by `alpha`, with `lightness` times the picture plus its 3 x 3 edges."""
    mean = ndimage.uniform_filter(pixels, (3, 3, 1), mode="nearest")
    return np.asarray((1 - alpha) * pixels + alpha * ((9 + lightness) * pixels - 9 * mean))


def emboss(pixels: NDArray[np.float32], alpha: float, strength: float) -> NDArray[np.float32]:
    """Blend, by `alpha`, with the picture plus its slope towards the lower right."""
    s = strength
    kernel = np.array([[-1 - s, -s, 0], [-s, 1, s], [0, s, 1 + s]], np.float32)
    relief = ndimage.correlate(pixels, kernel[..., None], mode="nearest")
    return np.asarray((1 - alpha) * pixels + alpha * relief)
