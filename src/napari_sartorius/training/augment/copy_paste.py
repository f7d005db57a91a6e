"""Objects of one crop pasted over another (Ghiasi et al. 2021), which hides what is under them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.training.augment.piece import joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.training.augment.config import CopyPasteConfig
    from napari_sartorius.training.augment.piece import Piece


def copy_paste(
    rng: np.random.Generator, piece: Piece, other: Piece, config: CopyPasteConfig
) -> Piece:
    """Paste some objects of `other` onto `piece` where they are.

    The pixels under them are gone from the older objects; an older object of which less than
    `config.min_visibility` is left is no longer taught.
    """
    other = other.cut_to(*piece.size)
    chosen = rng.random(len(other.categories)) < config.share
    if config.categories:
        chosen &= np.isin(other.categories, config.categories)
    if not chosen.any():
        return piece
    pasted = other.keep(chosen)
    cover = covered(pasted.masks)
    pixels = piece.pixels.copy()
    height, width = other.size
    pixels[:height, :width][cover] = other.pixels[cover]
    area = piece.masks.area()
    left = without(piece.masks, cover)
    below = replace(piece, masks=left).keep(
        left.area() >= np.maximum(1, config.min_visibility * area)
    )
    return joined(pixels, [replace(below, masks=below.masks.tight()), pasted])


def covered(masks: CropMasks) -> NDArray[np.bool_]:
    """Pixels (H, W) that any of the masks has."""
    cover = np.zeros(masks.image_size, np.bool_)
    for (x0, y0, x1, y1), bitmap in zip(masks.boxes.tolist(), masks, strict=True):
        cover[y0:y1, x0:x1] |= bitmap
    return cover


def without(masks: CropMasks, cover: NDArray[np.bool_]) -> CropMasks:
    """The same masks less the pixels of `cover`, which may be smaller than their image."""
    bits = masks.bits.copy()
    for (x0, y0, x1, y1), start in zip(masks.boxes.tolist(), masks.offsets.tolist(), strict=False):
        hidden = cover[y0:y1, x0:x1]
        if hidden.any():
            bitmap = bits[start : start + (y1 - y0) * (x1 - x0)].reshape(y1 - y0, x1 - x0)
            bitmap[: hidden.shape[0], : hidden.shape[1]][hidden] = 0
    return CropMasks(bits, masks.boxes, masks.image_size)
