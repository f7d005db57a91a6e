"""Two crops that shine through each other (Zhang et al. 2018; for detection, Zhang et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.training.augment.piece import joined

if TYPE_CHECKING:
    import numpy as np

    from napari_sartorius.training.augment.config import MixUpConfig
    from napari_sartorius.training.augment.piece import Piece


def mix(rng: np.random.Generator, piece: Piece, other: Piece, config: MixUpConfig) -> Piece:
    """Weighted mean of both pictures, with the objects of those that can be seen.

    Where `other` is smaller than `piece`, the rest of `piece` stays as it is.
    """
    other = other.cut_to(*piece.size)
    share = float(rng.beta(config.alpha, config.alpha))
    height, width = other.size
    pixels = piece.pixels.copy()
    pixels[:height, :width] *= share
    pixels[:height, :width] += (1 - share) * other.pixels
    if share < config.least_share:
        return joined(pixels, [other])
    if 1 - share < config.least_share:
        return joined(pixels, [piece])
    return joined(pixels, [piece, other])
