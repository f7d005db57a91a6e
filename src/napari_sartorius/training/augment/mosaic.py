"""The two mosaics of a Sartorius solution built on detectron2, for a square of any size.

Its images of 704 x 520 pixels gave tiles of 440 x 325 on a canvas of 880 x 650 (fixed), or tiles
that met at x 430 to 538, y 310 to 405 on 968 x 715 (random). The same shares of the side hold here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.training.augment.piece import joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.training.augment.config import AugmentConfig, MosaicConfig
    from napari_sartorius.training.augment.piece import Piece
    from napari_sartorius.training.augment.source import PieceSource

_RANDOM_CANVAS = (968, 715)
_RANDOM_X, _RANDOM_Y = (430, 538), (310, 405)

Tile = tuple[int, int, int, int]


def tiles_around(x: int, y: int, width: int, height: int) -> tuple[Tile, Tile, Tile, Tile]:
    """Four tiles, xyxy, that meet at (x, y) on a canvas: top left, top right, bottom ones."""
    return (0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)


def fixed_centre(width: int, height: int) -> tuple[int, int]:
    """Where the tiles of the fixed mosaic meet: the middle of the canvas."""
    return width // 2, height // 2


def random_centre(rng: np.random.Generator, width: int, height: int) -> tuple[int, int]:
    """Where the tiles of the random mosaic meet."""
    whole = _RANDOM_CANVAS
    x = rng.uniform(_RANDOM_X[0], _RANDOM_X[1]) * width / whole[0]
    y = rng.uniform(_RANDOM_Y[0], _RANDOM_Y[1]) * height / whole[1]
    return round(x), round(y)


def draw_mosaic(
    rng: np.random.Generator,
    source: PieceSource,
    index: int,
    chances: NDArray[np.float64],
    side: int,
    augment: AugmentConfig,
    *,
    fixed: bool,
) -> Piece:
    """A square of four tiles, the first image's and those of three others of its category.

    Parameters
    ----------
    rng, source
        Random numbers and the images.
    index, chances
        The first image, and the probability (N,) of each image as a partner.
    side
        Of the square, image pixels.
    augment
        Probability of flips, and the mosaics' own settings.
    fixed
        Which of the two.
    """
    images = [index, *(source.partner(rng, index, chances) for _ in range(3))]
    if fixed:
        centre = fixed_centre(side, side)
        ways = rng.permutation(np.array(["turned", "turned", "transposed", "transposed"]))
    else:
        centre = random_centre(rng, side, side)
        ways = np.full(4, "upright", dtype="<U10")
    images = [images[i] for i in rng.permutation(4)]
    tiles = tiles_around(*centre, side, side)
    channels = source.images[index].pixels.shape[2]
    canvas = np.zeros((side, side, channels), np.float32)
    pieces = []
    for tile, image, way in zip(tiles, images, ways.tolist(), strict=True):
        piece = _tile(rng, source, image, tile, way, augment)
        x0, y0, x1, y1 = tile
        canvas[y0:y1, x0:x1] = piece.pixels
        pieces.append(_large_enough(piece, augment.mosaic))
    return joined(canvas, pieces, [(x0, y0) for x0, y0, _, _ in tiles])


def _tile(
    rng: np.random.Generator,
    source: PieceSource,
    image: int,
    tile: Tile,
    way: str,
    augment: AugmentConfig,
) -> Piece:
    """What one tile shows."""
    width, height = tile[2] - tile[0], tile[3] - tile[1]
    if way == "turned":
        piece = source.turned_window(rng, image, width, height, augment.mosaic.angle)
    elif way == "transposed":
        piece = source.filled_window(rng, image, height, width).transposed()
    else:
        piece = source.filled_window(rng, image, width, height)
    if rng.random() < augment.flip:
        piece = piece.mirrored()
    if rng.random() < augment.flip:
        piece = piece.upside_down()
    return piece


def _large_enough(piece: Piece, config: MosaicConfig) -> Piece:
    sides = piece.masks.boxes[:, 2:] - piece.masks.boxes[:, :2]
    return piece.keep(sides[:, 0] * sides[:, 1] >= config.smallest_box)
