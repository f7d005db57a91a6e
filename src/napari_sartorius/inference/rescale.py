"""Makes cells look to the network as large as those it was trained on.

The image is rescaled window by window, so that a very large image never exists twice. Both axes
use a triangle filter that widens when shrinking (antialiasing), with taps that are the same for
every window: windows put side by side equal the whole image rescaled at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.inference.tiling import Rectangle

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.zoo.card import InputSize, ModelCard

_Real = TypeVar("_Real", np.float32, np.float64)

SMALLEST_FACTOR, LARGEST_FACTOR = 1 / 8, 8.0
# Differences too small for the network to notice are not worth a blurred image.
_SAME = 0.02
# An image that a card's input size shrinks more than this probably loses cells.
_MUCH_SMALLER = 0.5
# Pillow counts the weights of its filter in these steps when it resizes 8-bit images.
_PILLOW_STEP = 2.0**-22


@dataclass(frozen=True)
class ScaleChoice:
    """Factor from image pixels to network pixels, and what the user should know about it."""

    factor: float
    notice: str | None = None


def choose_scale(
    card: ModelCard,
    config: SegmentConfig,
    pixel_size: float | None = None,
    image_size: tuple[int, int] = (1, 1),
) -> ScaleChoice:
    """Decide by how much to enlarge (> 1) or shrink (< 1) an image.

    The user's cell diameter counts first, then the user's pixel size, then the one from the
    image's file, then the card's input size or image diameter. A factor beyond 1/8 to 8 is limited
    and told; one that comes from a file's pixel size is more likely a wrong entry there, so it is
    ignored and told.

    Parameters
    ----------
    card, config
        The model's training scale and the user's wishes.
    pixel_size
        Micrometres per pixel as the image's file says, or None.
    image_size : (height, width)
        Needed by cards with an input size.
    """
    if config.diameter is not None:
        return _limited(
            card.cell_diameter / config.diameter, f"a cell diameter of {config.diameter:g} pixels"
        )
    if card.pixel_size is None:
        default = _default_scale(card, image_size)
        if config.pixel_size is None:
            return default
        return replace(
            default,
            notice=f"the model {card.name} does not know its pixel size, so that of the image was "
            "not used; give a cell diameter in pixels instead",
        )
    if config.pixel_size is not None:
        return _limited(
            config.pixel_size / card.pixel_size, f"a pixel size of {config.pixel_size:g} um"
        )
    default = _default_scale(card, image_size)
    if pixel_size is None:
        return default
    factor = pixel_size / card.pixel_size
    if not SMALLEST_FACTOR <= factor <= LARGEST_FACTOR:
        return replace(
            default,
            notice=f"the file's pixel size of {pixel_size:g} um is implausible for the model "
            f"{card.name} ({card.pixel_size:g} um) and was ignored; give the pixel size if it is "
            "right",
        )
    return ScaleChoice(_snapped(factor))


def _default_scale(card: ModelCard, image_size: tuple[int, int]) -> ScaleChoice:
    """What the card says when nobody names a size."""
    if card.image_diameter is not None:
        return ScaleChoice(_snapped(card.cell_diameter / card.image_diameter))
    if card.input_size is None:
        return ScaleChoice(1.0)
    factor = card.input_size.factor(image_size)
    if factor >= _MUCH_SMALLER:
        return ScaleChoice(factor)
    return ScaleChoice(
        factor,
        f"the model {card.name} looks at whole images of about {card.input_size.short_edge} "
        f"pixels, so this one was shrunk to {factor:.2g} of its size and small cells may be "
        "missed; give a cell diameter in pixels to keep them",
    )


def _limited(factor: float, reason: str) -> ScaleChoice:
    limited = min(max(factor, SMALLEST_FACTOR), LARGEST_FACTOR)
    if limited == factor:
        return ScaleChoice(_snapped(factor))
    return ScaleChoice(
        limited,
        f"{reason} asks for scaling by {factor:.3g}, which was limited to {limited:.3g}; "
        "check the value or choose another model",
    )


def _snapped(factor: float) -> float:
    return 1.0 if abs(factor - 1) < _SAME else factor


class Rescaler:
    """Windows of an image at the network's scale.

    Parameters
    ----------
    image_size : (height, width)
        Size of the image in its own pixels.
    factor : float
        Network pixels per image pixel. Exactly 1 leaves pixels untouched.
    whole_grey_levels
        Give integer pixels as whole numbers, bit for bit as Pillow's bilinear ``resize`` does with
        8-bit images.
    rule
        The card's input size, which says how the size is rounded and whether shrinking averages;
        None for halves rounded up and averages.

    Attributes
    ----------
    size : (height, width)
        Size of the rescaled image, at least 1 x 1.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        factor: float,
        whole_grey_levels: bool = False,
        rule: InputSize | None = None,
    ) -> None:
        self.image_size = image_size
        half = 0.0 if rule is not None and rule.rounding == "down" else 0.5
        self._averages = rule is None or rule.antialias
        self.size = (
            max(1, int(image_size[0] * factor + half)),
            max(1, int(image_size[1] * factor + half)),
        )
        self._unchanged = factor == 1.0
        self._whole = whole_grey_levels

    @property
    def to_image(self) -> tuple[float, float]:
        """Image pixels per network pixel along y and x; rounding lets them differ slightly."""
        return self.image_size[0] / self.size[0], self.image_size[1] / self.size[1]

    def window(self, read: Callable[[Rectangle], NDArray[Any]], part: Rectangle) -> NDArray[Any]:
        """Part of the rescaled image.

        Parameters
        ----------
        read
            Gives (height, width, C) pixels of a part of the image in its own pixels.
        part
            Which pixels of the rescaled image.

        Returns
        -------
        (height, width, C) array
            What `read` gives when nothing is rescaled, else float32.
        """
        if self._unchanged:
            return read(part)
        rows, columns = (
            _taps(begin, end, self.size[axis], self.image_size[axis], self._averages)
            for axis, (begin, end) in enumerate(((part.y0, part.y1), (part.x0, part.x1)))
        )
        source = Rectangle(rows.start, columns.start, rows.stop, columns.stop)
        pixels = read(source)
        if self._whole and pixels.dtype.kind in "ui":
            return _in_whole_numbers(pixels, rows, columns)
        result = _along_rows(pixels.astype(np.float32), rows.index, rows.weight)
        return _along_columns(result, columns.index, columns.weight)


@dataclass(frozen=True)
class _Taps:
    """Weights of source pixels start..stop for each target pixel: (targets, taps) each."""

    start: int
    stop: int
    index: NDArray[np.int64]
    weight: NDArray[np.float64]


def _taps(begin: int, end: int, target: int, source: int, averages: bool = True) -> _Taps:
    """Triangle filter around each target pixel's centre.

    As wide as the coarser of both grids, or as that of the source unless it `averages`.
    """
    ratio = source / target
    reach = max(ratio, 1.0) if averages else 1.0
    centre = (np.arange(begin, end) + 0.5) * ratio
    first = np.ceil(centre - reach - 0.5).astype(np.int64)
    index = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 1)
    weight = np.clip(1 - np.abs(index + 0.5 - centre[:, None]) / reach, 0, None)
    # Weight outside the image goes to the pixels inside.
    weight[(index < 0) | (index >= source)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    index = np.clip(index, 0, source - 1)
    start, stop = int(index.min()), int(index.max()) + 1
    return _Taps(start, stop, index - start, weight)


def _in_whole_numbers(pixels: NDArray[Any], rows: _Taps, columns: _Taps) -> NDArray[np.float32]:
    """Columns first, whole numbers after each axis; sums of such weights are exact in float64."""
    values: NDArray[np.float64] = pixels.astype(np.float64)
    values = np.floor(_along_columns(values, columns.index, _in_steps(columns.weight)) + 0.5)
    values = np.floor(_along_rows(values, rows.index, _in_steps(rows.weight)) + 0.5)
    limits = np.iinfo(pixels.dtype)
    return np.clip(values, limits.min, limits.max).astype(np.float32)


def _in_steps(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.floor(weight / _PILLOW_STEP + 0.5) * _PILLOW_STEP)


def _along_rows(
    pixels: NDArray[_Real], taps: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[_Real]:
    result = np.zeros((len(taps), *pixels.shape[1:]), pixels.dtype)
    for index, weight in zip(taps.T, weights.astype(pixels.dtype).T, strict=True):
        result += pixels[index] * weight[:, None, None]
    return result


def _along_columns(
    pixels: NDArray[_Real], taps: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[_Real]:
    result = np.zeros((pixels.shape[0], len(taps), pixels.shape[2]), pixels.dtype)
    for index, weight in zip(taps.T, weights.astype(pixels.dtype).T, strict=True):
        result += pixels[:, index] * weight[:, None]
    return result
