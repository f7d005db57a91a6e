"""One picture as the rest of the package wants it: pixels with named axes and a physical size.

Files and napari layers both become an `ImageData`, so that nothing behind this room needs to know
where pixels came from, or whether they are in memory at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Axes guessed for unnamed leading dimensions. T or Z makes no difference here: both run slice by
# slice. Beyond four dimensions a guess would be a gamble.
_GUESS = {2: "YX", 3: "TYX", 4: "TZYX"}


@runtime_checkable
class PixelSource(Protocol):
    """What `ImageData.pixels` can do: a numpy array, a dask array, or pages still in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one pixel value."""

    def __getitem__(self, key: Any, /) -> Any:
        """Part of the pixels, by integers and slices, as something ``numpy.asarray`` accepts."""


@dataclass(frozen=True)
class ImageData:
    """Pixels, what their axes mean, and how large a pixel is.

    Attributes
    ----------
    pixels
        Array or lazy array of any real dtype, one dimension per letter of `axes`.
    axes
        Letters, for example ``"YX"``, ``"YXS"`` (S: red, green, blue, alpha), ``"TYX"``,
        ``"ZCYX"``; Y and X always occur. T, Z and any other letter are stacks of planes.
    pixel_size_yx
        Height and width of a pixel in micrometres, or None when unknown.
    path
        The file, or None for pixels that came from memory.
    name
        Shown to the user, in messages too.
    steps
        How far planes are apart, where known: ``Z`` in micrometres, ``T`` in seconds.
    notes
        What the user must be told about the reading, such as pictures of the file left out.
    """

    pixels: PixelSource
    axes: str
    pixel_size_yx: tuple[float, float] | None = None
    path: Path | None = None
    name: str = "image"
    steps: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.pixels.shape)
        if len(self.axes) != len(shape) or self.axes.count("Y") != 1 or self.axes.count("X") != 1:
            raise UserError(
                f"{self.where}: axes {self.axes!r} do not describe pixels of shape {shape}; "
                'expected one letter per dimension with one Y and one X, such as "TYX".'
            )
        if 0 in shape:
            raise UserError(f"{self.where} has no pixels (shape {shape}): choose another image.")

    @property
    def where(self) -> str:
        """How messages call this image: its path, else its name."""
        return str(self.path) if self.path is not None else self.name

    @property
    def pixel_size(self) -> float | None:
        """Side of a pixel in micrometres; None when unknown or when pixels are not square."""
        if self.pixel_size_yx is None:
            return None
        y, x = self.pixel_size_yx
        return (y * x) ** 0.5 if abs(y - x) <= 0.01 * max(y, x) else None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        shape = self.pixels.shape
        return int(shape[self.axes.index("Y")]), int(shape[self.axes.index("X")])

    def to_array(self) -> NDArray[Any]:
        """All pixels in memory; copies a lazy image whole."""
        return np.asarray(self.pixels)


def image_from_array(
    array: Any,
    *,
    axes: str | None = None,
    rgb: bool | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    name: str = "image",
) -> ImageData:
    """Describe pixels that are already an array, for example those of a napari layer.

    Parameters
    ----------
    array
        numpy, dask or any array with ``shape``, ``dtype`` and numpy indexing; never copied.
    axes
        One letter per dimension. None guesses: the last axis is colour when `rgb` says so, the
        two before it (else the last two) are Y and X, the leading ones are stacks.
    rgb
        Whether the last axis holds grey or colours, with or without alpha; None: yes when it is 1
        to 4 long and the two before it are both longer.
    pixel_size
        In micrometres, one number or (y, x).
    name
        How to call the image in messages.

    Raises
    ------
    UserError
        When `array` is no array of numbers, is empty, has fewer than two dimensions, or has so
        many that the axes must be named.
    """
    if not isinstance(array, PixelSource) or not isinstance(array.dtype, np.dtype):
        array = _as_numpy(array, name)
    if array.dtype.kind not in "buifc":
        raise UserError(
            f"{name} holds {array.dtype} values, expected numbers: convert the image first."
        )
    shape = tuple(int(n) for n in array.shape)
    if axes is None:
        axes = _guess_axes(shape, rgb, name)
    if isinstance(pixel_size, int | float):
        pixel_size = (float(pixel_size), float(pixel_size))
    return ImageData(array, axes, pixel_size, None, name)


def _as_numpy(array: Any, name: str) -> NDArray[Any]:
    """Array of a list, a table or a tensor; each refuses in its own way, in words of its own."""
    try:
        return np.asarray(array)
    except Exception as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"{name} is a {type(array).__name__} that cannot become an array ({why}): give a numpy "
            "array of numbers, (y, x) or (y, x, colours)."
        ) from error


def _guess_axes(shape: tuple[int, ...], rgb: bool | None, name: str) -> str:
    if rgb is None:
        # Planes so narrow could not show a cell, so nothing else can be meant.
        rgb = len(shape) >= 3 and 1 <= shape[-1] <= 4 and min(shape[-3:-1]) > shape[-1]
    spatial = len(shape) - bool(rgb)
    if spatial not in _GUESS:
        expected = "at most 4 (such as time, z, y, x)" if spatial > 4 else "at least 2 (y, x)"
        raise UserError(
            f"{name} has {len(shape)} dimensions (shape {shape}), expected {expected}: "
            "select one slice of it, or save it as OME-TIFF, which names its axes."
        )
    return _GUESS[spatial] + ("S" if rgb else "")
