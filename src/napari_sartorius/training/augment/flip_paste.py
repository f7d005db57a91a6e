"""The mean of a crop and its mirror image: twice the cells (11th place, Sartorius challenge)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.training.augment.piece import joined

if TYPE_CHECKING:
    from napari_sartorius.training.augment.config import FlipPasteConfig
    from napari_sartorius.training.augment.piece import Piece


def may_flip_paste(piece: Piece, config: FlipPasteConfig) -> bool:
    """Whether there are objects, all of them of the categories that are meant."""
    if not len(piece.categories):
        return False
    return not config.categories or bool(np.isin(piece.categories, config.categories).all())


def flip_paste(piece: Piece, config: FlipPasteConfig) -> Piece:
    """Both pictures at half strength, with the objects of both that are seen well enough."""
    piece = piece.visible(config.min_visibility)
    mirror = piece.mirrored()
    return joined((piece.pixels + mirror.pixels) * np.float32(0.5), [piece, mirror])
