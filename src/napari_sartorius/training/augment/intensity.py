"""Gain, shift, monotone bend, colours, inversion and noise, in network units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.training.augment.config import AugmentConfig

# What the bend takes for black and white; percentile normalisation limits images to it.
_LIMIT = 4.0


def bend_intensity(
    rng: np.random.Generator, pixels: NDArray[np.float32], augment: AugmentConfig
) -> NDArray[np.float32]:
    """Random grey levels and colours of (H, W, C) pixels."""
    if augment.invert and rng.random() < augment.invert:
        pixels = -pixels
    if augment.colour and pixels.shape[2] > 1:
        pixels = _exchange_colours(rng, pixels, augment.colour)
    if augment.gamma > 1:
        exponent = float(np.exp(rng.uniform(-1, 1) * np.log(augment.gamma)))
        pixels = bend(pixels, exponent)
    gain = 1 + float(rng.uniform(-augment.contrast, augment.contrast))
    shift = float(rng.uniform(-augment.brightness, augment.brightness))
    if augment.contrast or augment.brightness:
        pixels = pixels * gain + shift
    if augment.noise and rng.random() < 0.5:
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        noise *= float(rng.uniform(0, augment.noise))
        pixels = pixels + noise
    return pixels


def bend(pixels: NDArray[np.float32], exponent: float) -> NDArray[np.float32]:
    """Power of the grey levels between -4 and 4, without moving the middle grey."""
    unit = pixels * (1 / (2 * _LIMIT)) + 0.5
    np.clip(unit, 0, 1, out=unit)
    np.power(unit, exponent, out=unit)
    # The bend also moves the middle grey; take that part back, brightness is drawn apart.
    unit -= 0.5**exponent
    unit *= 2 * _LIMIT
    return unit


def _exchange_colours(
    rng: np.random.Generator, pixels: NDArray[np.float32], most: float
) -> NDArray[np.float32]:
    """Part of each channel from another one."""
    channels = pixels.shape[2]
    # Rows add up to one, so grey stays as it is and only colours move.
    share = rng.uniform(0, most)
    exchanged = np.eye(channels)[rng.permutation(channels)]
    mixed = (1 - share) * np.eye(channels) + share * exchanged
    return np.asarray(pixels @ mixed.T.astype(np.float32))
