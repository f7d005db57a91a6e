"""Where pieces come from: packed images, windows in them, partners of the same category."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.training.augment.piece import Piece
from napari_sartorius.training.augment.warp import TurnedWindow, turned_masks, turned_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.training.images import AnnotatedImage


class PieceSource:
    """Random windows of packed images.

    Parameters
    ----------
    images
        Packed images, at least one.
    """

    def __init__(self, images: Sequence[AnnotatedImage]) -> None:
        self.images = images
        self._areas: dict[int, NDArray[np.int64]] = {}
        self._category = np.array([image.main_category for image in images])

    def partner(self, rng: np.random.Generator, index: int, chances: NDArray[np.float64]) -> int:
        """Another image whose objects are mostly of the same category; it may be the same one."""
        likely = np.where(self._category == self._category[index], chances, 0)
        total = likely.sum()
        return int(rng.choice(len(likely), p=likely / total)) if total > 0 else index

    def window(self, rng: np.random.Generator, index: int, width: int, height: int) -> Piece:
        """A random upright window, smaller where the image is."""
        image = self.images[index]
        rows, columns = image.pixels.shape[:2]
        x0, y0 = window_start(rng, columns, width), window_start(rng, rows, height)
        x1, y1 = min(x0 + width, columns), min(y0 + height, rows)
        masks, kept = image.masks.crop(x0, y0, x1, y1)
        pixels = image.pixels[y0:y1, x0:x1].astype(np.float32)
        return Piece(pixels, masks, image.categories[kept], self._areas_of(index)[kept])

    def filled_window(self, rng: np.random.Generator, index: int, width: int, height: int) -> Piece:
        """A random upright window of exactly this size; beyond the image its border is repeated."""
        piece = self.window(rng, index, width, height)
        rows, columns = piece.size
        if (rows, columns) == (height, width):
            return piece
        margin = ((0, height - rows), (0, width - columns), (0, 0))
        masks = piece.masks.translate(0, 0, (height, width))
        pixels = np.pad(piece.pixels, margin, mode="edge")
        return Piece(pixels, masks, piece.categories, piece.whole)

    def turned_window(
        self, rng: np.random.Generator, index: int, width: int, height: int, angle: float
    ) -> Piece:
        """A random window turned by up to `angle` degrees to either side about its centre."""
        image = self.images[index]
        rows, columns = image.pixels.shape[:2]
        x0, y0 = window_start(rng, columns, width), window_start(rng, rows, height)
        window = TurnedWindow(
            x0 + min(width, columns) / 2,
            y0 + min(height, rows) / 2,
            width,
            height,
            float(rng.uniform(-angle, angle)),
        )
        masks, kept = turned_masks(image.masks, window)
        return Piece(
            turned_pixels(image.pixels, window),
            masks,
            image.categories[kept],
            self._areas_of(index)[kept],
        )

    def _areas_of(self, index: int) -> NDArray[np.int64]:
        if index not in self._areas:
            self._areas[index] = self.images[index].masks.area()
        return self._areas[index]


def window_start(rng: np.random.Generator, length: int, side: int) -> int:
    """First pixel of a window; borders come as often as the middle although fewer windows touch."""
    if length <= side:
        return 0
    margin = side // 8
    return int(np.clip(rng.integers(-margin, length - side + margin + 1), 0, length - side))
