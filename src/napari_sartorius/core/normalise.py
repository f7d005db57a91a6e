"""What the network sees: pixels of any bit depth brought to one scale.

The same scene stored as 8-bit, 16-bit or float gives the same values, so a network never depends
on the file format. The viewer shows exactly these values on request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sartorius.core.channels import LUMINANCE
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.sampling import thinned

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# Percentiles of a very large image are taken from about this many evenly spaced pixels.
_SAMPLE = 4_000_000


@dataclass(frozen=True)
class Normalisation:
    """How pixel values become network input.

    Parameters
    ----------
    method
        ``percentile`` maps the `low` and `high` percentile of the whole image to -2 and 2 and
        limits the result to -4..4. ``fixed`` subtracts `mean` and divides by `std`, in grey
        levels of an 8-bit image (integer images of more bits are brought to 0..255 first).
    low, high
        Percentiles, 0..100.
    mean, std
        Grey levels, used by ``fixed`` only: one number, or three for the three channels in the
        order in which the network reads them.
    channel_order
        Whether a network of three channels reads red or blue first; images are always given as
        RGB. detectron2's stock models read ``BGR``.
    """

    method: Literal["percentile", "fixed"] = "percentile"
    low: float = 1.0
    high: float = 99.0
    mean: float | tuple[float, float, float] = 128.0
    std: float | tuple[float, float, float] = 64.0
    channel_order: Literal["RGB", "BGR"] = "RGB"

    @property
    def per_channel(self) -> bool:
        """Whether only an image of three channels can be normalised so."""
        return isinstance(self.mean, tuple) or isinstance(self.std, tuple)


@dataclass(frozen=True)
class Scaling:
    """The numbers that normalise every tile of one image alike: (x - offset) * gain, limited.

    Attributes
    ----------
    offset, gain
        One number, or one for each channel in the order of the result.
    limit
        Largest absolute value of the result.
    swap_channels
        Whether red and blue change places first.
    """

    offset: float | tuple[float, ...]
    gain: float | tuple[float, ...]
    limit: float
    swap_channels: bool = False

    def apply(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Normalised float32 copy of pixels (Y, X) or (Y, X, C)."""
        if self.swap_channels and pixels.ndim == 3 and pixels.shape[-1] == 3:
            pixels = pixels[..., ::-1]
        offset, gain = np.asarray(self.offset, np.float32), np.asarray(self.gain, np.float32)
        values = (pixels.astype(np.float32) - offset) * gain
        return np.clip(values, -self.limit, self.limit, out=values)


def measure(image: NDArray[Any], normalisation: Normalisation) -> Scaling:
    """Scaling of a whole (Y, X) or (Y, X, C) image.

    A constant image gets gain 0: all values become 0 and nothing is divided by zero.

    Raises
    ------
    UserError
        When the pixels are complex, not numeric, or hold NaN or infinity.
    """
    if image.dtype.kind not in "biuf":
        raise UserError(
            f"pixels of type {image.dtype} cannot be segmented; convert the image to a real "
            "integer or float type"
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise UserError(
            "the image holds NaN or infinite pixels; replace them (for example by 0) and try again"
        )
    swap = normalisation.channel_order == "BGR"
    if normalisation.method == "fixed":
        grey_levels = _grey_level_factor(image.dtype)
        return Scaling(
            _each(lambda mean: mean / grey_levels, normalisation.mean),
            _each(lambda std: grey_levels / max(std, 1e-6), normalisation.std),
            np.inf,
            swap,
        )
    low, high = _percentiles(thinned(image, _SAMPLE), normalisation.low, normalisation.high)
    spread = high - low
    gain = 4.0 / spread if spread > 1e-12 * max(abs(low), abs(high)) else 0.0
    return Scaling((low + high) / 2, gain, 4.0, swap)


def _percentiles(pixels: NDArray[Any], *shares: float) -> list[float]:
    """As `numpy.percentile` has them; numbers of few bits are counted, ten times faster."""
    if pixels.dtype not in (np.uint8, np.uint16):
        return [float(one) for one in np.percentile(pixels.astype(np.float32), shares)]
    counted = np.cumsum(np.bincount(pixels.reshape(-1)))
    places = (int(counted[-1]) - 1) * np.asarray(shares) / 100
    below, above = (
        np.searchsorted(counted, rank, side="right") for rank in (np.floor(places), np.ceil(places))
    )
    return [float(one) for one in below + (above - below) * (places % 1)]


def normalise(image: NDArray[Any], normalisation: Normalisation) -> NDArray[np.float32]:
    """Normalised float32 copy of a (Y, X) or (Y, X, C) image; see `measure` for errors."""
    return measure(image, normalisation).apply(image)


def to_channels(image: NDArray[Any], channels: Literal[1, 3]) -> NDArray[Any]:
    """Image as a network with that many input channels reads it, (Y, X, channels).

    Grey becomes three equal channels; colour becomes luminance (ITU-R 601). An alpha channel is
    dropped. The number type is kept where nothing is mixed, else it is float32.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[-1] in (2, 4):
        image = image[..., :-1]
    if image.shape[-1] == channels:
        return image
    if channels == 1:
        return (image.astype(np.float32) @ LUMINANCE)[..., None]
    return np.repeat(image, channels, axis=-1)


def _each(
    change: Callable[[float], float], values: float | tuple[float, ...]
) -> float | tuple[float, ...]:
    return tuple(change(v) for v in values) if isinstance(values, tuple) else change(values)


def _grey_level_factor(dtype: np.dtype[Any]) -> float:
    """Factor that brings this integer type to 0..255; floats are taken as they are."""
    if dtype.kind == "u" or dtype.kind == "i":
        return 255.0 / float(np.iinfo(dtype).max)
    return 255.0 if dtype.kind == "b" else 1.0
