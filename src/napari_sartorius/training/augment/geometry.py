"""How large the part is that a crop shows, and which way up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_sartorius.training.augment.config import AugmentConfig
    from napari_sartorius.training.augment.piece import Piece

SMALLEST_WINDOW = 32


def window_side(
    rng: np.random.Generator, augment: AugmentConfig, crop: int, image_size: tuple[int, int]
) -> int:
    """Side in image pixels of the square that a crop of `crop` network pixels shows.

    Parameters
    ----------
    rng
        For the zoom.
    augment
        Zoom interval, list of short edges, or share of the image.
    crop
        Side of the crop, network pixels.
    image_size
        (height, width) of the image, pixels.
    """
    shorter = min(image_size)
    if augment.relative_crop is not None:
        side = augment.relative_crop * shorter
    elif augment.short_edges:
        side = crop * shorter / augment.short_edges[rng.integers(len(augment.short_edges))]
    else:
        low, high = augment.scale
        side = crop / float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return max(SMALLEST_WINDOW, round(side))


def flip_and_turn(rng: np.random.Generator, augment: AugmentConfig, piece: Piece) -> Piece:
    """One of the eight flips and quarter turns, exact on pixels and bitmaps."""
    if rng.random() < augment.flip:
        piece = piece.mirrored()
    if rng.random() < augment.flip:
        piece = piece.upside_down()
    if rng.random() < augment.turn:
        piece = piece.transposed()
    return piece
