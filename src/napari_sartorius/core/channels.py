"""Which part of a colour image shows the cells: a colour, its brightness, or a stain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.sampling import thinned
from napari_sartorius.core.wide_numbers import for_float32

if TYPE_CHECKING:
    from numpy.typing import NDArray

ChannelChoice: TypeAlias = Literal["auto", "luminance", "hematoxylin"] | int
"""``"auto"``: all colours; ``"luminance"``: brightness; ``"hematoxylin"``: how much of that blue
dye a pixel holds, whatever brown (DAB) or pink (eosin) lies over it; a number: that colour,
counted from 0."""

# ITU-R 601 weights of red, green and blue.
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
ABSORPTION = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""How strongly hematoxylin, eosin and DAB absorb red, green and blue, (3, 3): a row for each dye
(Ruifrok and Johnston 2001)."""
_HEMATOXYLIN = np.linalg.inv(ABSORPTION)[:, 0].astype(np.float32)
# Pixels that are looked at to judge a whole image.
_SAMPLE = 250_000
# No pixel is taken for darker than this share of white: its logarithm would be noise.
_DARKEST = 1e-6


def choose_colours(pixels: NDArray[Any], choice: ChannelChoice) -> NDArray[Any]:
    """Part of a colour image that a network is to look at.

    Parameters
    ----------
    pixels : (Y, X, C)
        C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha); any C with a number.
    choice
        See `ChannelChoice`.

    Returns
    -------
    array
        (Y, X) for a number, grey images, luminance and hematoxylin; (Y, X, 3) for ``"auto"``.
        The number type is kept unless colours are mixed, then it is float32.

    Raises
    ------
    UserError
        When a stain is asked for in an image without colours.
    """
    if isinstance(choice, int):
        return np.ascontiguousarray(pixels[..., choice])
    if choice == "hematoxylin":
        if pixels.shape[-1] not in (3, 4):
            raise UserError(
                "the hematoxylin stain can only be told apart in a colour image, and this one is "
                "grey; choose the channel auto"
            )
        return hematoxylin(pixels[..., :3])
    if pixels.shape[-1] < 3:
        return np.ascontiguousarray(pixels[..., 0])
    pixels = pixels[..., :3]
    return for_float32(pixels).astype(np.float32) @ LUMINANCE if choice == "luminance" else pixels


def hematoxylin(rgb: NDArray[Any]) -> NDArray[np.float32]:
    """Amount of hematoxylin in each pixel: what dyes nuclei blue in tissue sections.

    Colour deconvolution: light that passes a dye is weakened exponentially, so the logarithms of
    the colours are sums over the dyes and can be separated (Ruifrok and Johnston 2001,
    doi:10.1097/00129039-200103000-00014). Gives scikit-image's ``rgb2hed(rgb)[..., 0]`` but does
    not cut what lies below zero.

    Parameters
    ----------
    rgb : (Y, X, 3)
        Brightfield image; integers span their type, floats 0..1.

    Returns
    -------
    (Y, X) float32
        About 0 without dye, bright where there is much of it, in grey levels of an 8-bit image.
    """
    share = np.clip(_share_of_white(rgb), _DARKEST, 1)
    # The logarithm of the darkest possible pixel is the unit.
    density = np.log(share) / np.float32(np.log(_DARKEST))
    return np.asarray(density @ _HEMATOXYLIN * np.float32(255), dtype=np.float32)


def _share_of_white(rgb: NDArray[Any]) -> NDArray[np.float32]:
    """Colours from 0 to 1: integers span their type, floats are so already."""
    white = float(np.iinfo(rgb.dtype).max) if rgb.dtype.kind in "ui" else 1.0
    return np.asarray(rgb.astype(np.float32) / np.float32(white), dtype=np.float32)


def looks_brown(pixels: NDArray[Any]) -> bool:
    """Whether a good part of a bright colour image is brown, as tissue stained with DAB is.

    Parameters
    ----------
    pixels : (Y, X, C)
        Any image; only RGB and RGBA can be brown. Large ones are looked at sparsely.
    """
    if pixels.shape[-1] not in (3, 4):
        return False
    sample = thinned(pixels, _SAMPLE)[..., :3]
    red, green, blue = np.moveaxis(_share_of_white(sample), -1, 0)
    brown = (red > blue + 0.1) & (red > green + 0.05)
    glass = np.percentile(green, 95)
    return bool(glass > 0.75 and brown.mean() > 0.2)
