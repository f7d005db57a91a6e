"""A part of an image with its objects, in pixels of the image: what augmentation works on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Piece:
    """Pixels and the objects in them.

    Attributes
    ----------
    pixels
        (H, W, C) float32, network units.
    masks
        N tight masks on (H, W), none empty.
    categories
        (N,) int64, 0-based.
    whole
        (N,) int64: pixels of each object in the image that it was cut from.
    """

    pixels: NDArray[np.float32]
    masks: CropMasks
    categories: NDArray[np.int64]
    whole: NDArray[np.int64]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def keep(self, which: NDArray[np.bool_]) -> Piece:
        """The same pixels with some of the objects, (N,) bool."""
        if which.all():
            return self
        return replace(
            self,
            masks=self.masks[which],
            categories=self.categories[which],
            whole=self.whole[which],
        )

    def visible(self, least: float, pixels: int = 1) -> Piece:
        """Without objects of fewer `pixels`, or of less than the share `least` of the whole."""
        area = self.masks.area()
        return self.keep((area >= pixels) & (area >= least * self.whole))

    def cut_to(self, height: int, width: int) -> Piece:
        """The top left part of at most this size."""
        if self.size[0] <= height and self.size[1] <= width:
            return self
        height, width = min(height, self.size[0]), min(width, self.size[1])
        masks, kept = self.masks.crop(0, 0, width, height)
        return Piece(self.pixels[:height, :width], masks, self.categories[kept], self.whole[kept])

    def mirrored(self) -> Piece:
        """Left and right exchanged."""
        return replace(self, pixels=self.pixels[:, ::-1], masks=self.masks.flip_horizontal())

    def upside_down(self) -> Piece:
        """Top and bottom exchanged."""
        return replace(self, pixels=self.pixels[::-1], masks=self.masks.flip_vertical())

    def transposed(self) -> Piece:
        """Rows and columns exchanged."""
        return replace(self, pixels=self.pixels.transpose(1, 0, 2), masks=self.masks.transpose())


def joined(
    pixels: NDArray[np.float32],
    pieces: Sequence[Piece],
    places: Sequence[tuple[int, int]] | None = None,
) -> Piece:
    """The objects of several pieces on one picture.

    Parameters
    ----------
    pixels
        (H, W, C) float32, the picture.
    pieces
        At least one, their pixels are not read.
    places
        x and y of the top left corner of each; 0 and 0 when left out.
    """
    size = pixels.shape[0], pixels.shape[1]
    places = places or [(0, 0)] * len(pieces)
    moved = [
        piece.masks.translate(x, y, size) for piece, (x, y) in zip(pieces, places, strict=True)
    ]
    return Piece(
        pixels,
        CropMasks.concatenate(moved),
        np.concatenate([piece.categories for piece in pieces]),
        np.concatenate([piece.whole for piece in pieces]),
    )
