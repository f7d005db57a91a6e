"""Pictures in which 0 is white (TIFF's MINISWHITE), turned over when they are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.io.image_data import PixelSource


class TurnedOver:
    """Behaves as a read-only array whose large values are bright, over one whose are dark.

    Parameters
    ----------
    pixels
        An array, or one that is read where it is asked for.
    bits
        Bits per value in the file; 12-bit pixels come in 16 bits and count up to 4095.

    Attributes
    ----------
    shape, dtype
        Those of `pixels`.
    """

    def __init__(self, pixels: PixelSource, bits: int) -> None:
        self.pixels = pixels
        self._bits = bits
        self.shape = tuple(int(n) for n in pixels.shape)
        self.dtype = np.dtype(pixels.dtype)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        """Read a part and turn it over."""
        return turned_over(np.asarray(self.pixels[key]), self._bits)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything."""
        return np.asarray(self[()], dtype=dtype)


def turned_over(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Pixels with bright and dark exchanged, in the same number type.

    Whole numbers go from the largest value of `bits` downwards, signed ones around -1/2. Floats
    have no largest value and change their sign: what a plane becomes must not depend on others.
    """
    if pixels.dtype.kind == "f":
        return np.asarray(-pixels)
    if pixels.dtype.kind == "u" and bits < 8 * pixels.dtype.itemsize:
        return np.asarray(pixels.dtype.type((1 << bits) - 1) - pixels)
    return np.asarray(~pixels)
