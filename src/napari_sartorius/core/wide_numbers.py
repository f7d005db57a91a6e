"""Pixels whose numbers are too large, too small or too close together for float32.

Everything that looks at pixels reckons in float32, which holds seven digits: a 32-bit image that
counts from 4,000,000,000 or a float image in volts times 1e-15 would be one grey to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Between these float32 has room for squares and for a thousandth of the range.
_SMALLEST_RANGE, _LARGEST_NUMBER = 1e-6, 1e30
# A range below this share of the numbers has fewer than 4,096 levels in float32.
_NARROW = 1 / 4096


def for_float32(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels that keep their differences when they are turned to float32.

    Parameters
    ----------
    pixels
        Any shape and type.

    Returns
    -------
    array
        `pixels` themselves where float32 can hold them, as nearly always; else a float32 copy in
        which the smallest number is 0 and the largest 1. Arrays of one value, with NaN or infinity
        or without real numbers are given back, too.
    """
    kind, size = pixels.dtype.kind, pixels.dtype.itemsize
    if kind not in "uif" or (kind != "f" and size < 4) or not pixels.size:
        return pixels
    low, high = pixels.min(), pixels.max()
    if not np.isfinite(low) or not np.isfinite(high) or low == high:
        return pixels
    largest = max(abs(float(low)), abs(float(high)))
    span = float(high) / 2 - float(low) / 2  # halves, because the whole may overflow
    if kind != "f" and span < largest * _NARROW:
        pixels = pixels - low  # in whole numbers, of which float64 cannot hold all
        return np.asarray(pixels / (high - low), np.float32)
    if span >= max(largest * _NARROW, _SMALLEST_RANGE) and largest <= _LARGEST_NUMBER:
        return pixels
    wide = np.promote_types(pixels.dtype, np.float64)
    values = pixels.astype(wide)
    if largest > _LARGEST_NUMBER:
        values /= largest
    values -= values.min()
    return np.asarray(values / values.max(), np.float32)
