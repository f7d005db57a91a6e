"""The four blurs. All repeat the border, so that a crop gets no dark frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.training.augment.config import AugmentConfig


def blurred(
    rng: np.random.Generator, pixels: NDArray[np.float32], augment: AugmentConfig
) -> NDArray[np.float32]:
    """(H, W, C) pixels through each of the blurs that is drawn."""
    if augment.blur and rng.random() < augment.blur:
        pixels = box_blur(pixels, _odd_size(rng, augment.blur_size))
    if augment.gaussian_blur and rng.random() < augment.gaussian_blur:
        pixels = gaussian_blur(pixels, float(rng.uniform(0.5, augment.blur_size / 4)))
    if augment.median_blur and rng.random() < augment.median_blur:
        pixels = median_blur(pixels, _odd_size(rng, augment.blur_size))
    if augment.motion_blur and rng.random() < augment.motion_blur:
        size = _odd_size(rng, augment.blur_size)
        pixels = motion_blur(pixels, size, float(rng.uniform(0, 180)))
    return pixels


def box_blur(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Mean of a square of `size` pixels."""
    return np.asarray(ndimage.uniform_filter(pixels, (size, size, 1), mode="nearest"))


def gaussian_blur(pixels: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian of that standard deviation, pixels."""
    return np.asarray(
        ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest", truncate=3.0)
    )


def median_blur(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Median of a square of `size` pixels."""
    return np.asarray(ndimage.median_filter(pixels, (size, size, 1), mode="nearest"))


def motion_blur(pixels: NDArray[np.float32], size: int, angle: float) -> NDArray[np.float32]:
    """Mean along a line of `size` pixels at `angle` degrees, as when the stage moved."""
    reach = size // 2
    steps = np.arange(-reach, reach + 1)
    radians = np.deg2rad(angle)
    shifts = set(
        zip(
            np.rint(steps * np.sin(radians)).astype(int).tolist(),
            np.rint(steps * np.cos(radians)).astype(int).tolist(),
            strict=True,
        )
    )
    height, width = pixels.shape[:2]
    wide = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros_like(pixels)
    for y, x in sorted(shifts):
        total += wide[reach + y : reach + y + height, reach + x : reach + x + width]
    total /= len(shifts)
    return total


def _odd_size(rng: np.random.Generator, largest: int) -> int:
    return 3 + 2 * int(rng.integers((largest - 3) // 2 + 1))
