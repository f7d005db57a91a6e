"""Cut any image into the two-dimensional planes that a network can look at.

This is where pixels are first touched, one plane at a time, so a volume larger than memory stays in
its file, and where pixels that no network can use (NaN, complex, a single value) are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.channels import ChannelChoice, choose_colours
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.smallest_image import SMALLEST_SIDE
from napari_sartorius.core.wide_numbers import for_float32

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sartorius.io.image_data import ImageData


def plane_axes(image: ImageData) -> str:
    """Letters of the axes that `planes` walks along, in order: ``""`` for a single picture."""
    return "".join(axis for axis in image.axes if axis not in "YXSC")


def plane_shape(image: ImageData) -> tuple[int, ...]:
    """Length of every axis in `plane_axes`; the product is the number of planes."""
    lengths = zip(image.axes, image.pixels.shape, strict=True)
    return tuple(int(n) for axis, n in lengths if axis not in "YXSC")


def channel_count(image: ImageData) -> int:
    """Give how many channels a user can choose from: the C axis, else the colours, else 1."""
    for axis in "CS":
        if axis in image.axes:
            return int(image.pixels.shape[image.axes.index(axis)])
    return 1


def planes(
    image: ImageData, channel: ChannelChoice = "auto"
) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """Walk over the planes of an image, reading each only when it is asked for.

    Parameters
    ----------
    image
        Any image; with axes other than Y, X, S (colours) and C (channels) it has several planes.
    channel
        ``"auto"``: colours stay together, of a C axis the first channel is taken.
        ``"luminance"``: colours are weighted to grey (Rec. 601), channels of a C axis averaged.
        ``"hematoxylin"``: the amount of that dye in a colour image.
        A number: that channel of the C axis, else that colour, counted from 0.

    Yields
    ------
    index : tuple of int
        Position along `plane_axes`; ``()`` for a single picture.
    plane : ndarray
        (Y, X) or (Y, X, 3), without transparency. The image's own dtype, except for
        ``"luminance"``, which gives float32, bool, which becomes uint8, and numbers that float32
        cannot tell apart, which are brought to 0 to 1 (`core.wide_numbers`).

    Raises
    ------
    UserError
        When values are complex, NaN or infinite, the channel does not exist, the image is smaller
        than `SMALLEST_SIDE`, or a single picture has one value everywhere. Blank planes inside a
        stack are passed on: a time series may start in the dark.
    """
    _check(image, channel)
    shape = plane_shape(image)
    for index in np.ndindex(*shape):
        plane = _finite(image, index, read_plane(image, index, channel))
        if not shape and plane.min() == plane.max():
            raise UserError(
                f"{image.where} is blank, every pixel is {plane.flat[0]}: "
                "check the exposure, or choose another channel."
            )
        yield index, for_float32(plane)


def _check(image: ImageData, channel: ChannelChoice) -> None:
    kind = image.pixels.dtype.kind
    if kind == "c":
        raise UserError(
            f"{image.where} holds complex numbers, expected intensities: "
            "save its magnitude or phase as a real image first."
        )
    if kind not in "buif":
        raise UserError(f"{image.where} holds {image.pixels.dtype} values, expected numbers.")
    height, width = image.size
    if min(height, width) < SMALLEST_SIDE:
        raise UserError(
            f"{image.where} is only {height} x {width} pixels, expected at least "
            f"{SMALLEST_SIDE} x {SMALLEST_SIDE}: choose an image that can show a cell."
        )
    if channel == "hematoxylin" and not _has_colours(image):
        raise UserError(
            f"{image.where} is grey, and a stain can only be told apart in a colour image: choose "
            "the channel auto."
        )
    if isinstance(channel, int) and not 0 <= channel < channel_count(image):
        count = channel_count(image)
        choice = "only channel 0" if count == 1 else f"channels 0 to {count - 1}"
        raise UserError(
            f"{image.where} has {choice}, and channel {channel} was asked for: choose one of these."
        )


def _has_colours(image: ImageData) -> bool:
    return "S" in image.axes and image.pixels.shape[image.axes.index("S")] >= 3


def read_plane(
    image: ImageData, index: tuple[int, ...], channel: ChannelChoice = "auto"
) -> NDArray[Any]:
    """Read one plane as `planes` yields it, without looking at its values.

    Parameters
    ----------
    image
        Any image.
    index
        Position along `plane_axes`.
    channel
        As for `planes`.
    """
    position = iter(index)
    key: list[int | slice] = []
    kept = ""
    for axis in image.axes:
        if axis == "C" and channel != "luminance":
            key.append(channel if isinstance(channel, int) else 0)
        elif axis in "YXSC":
            key.append(slice(None))
            kept += axis
        else:
            key.append(next(position))
    plane = np.asarray(image.pixels[tuple(key)])
    plane = plane.transpose([kept.index(axis) for axis in "YXSC" if axis in kept])
    if plane.dtype.kind == "b":
        plane = plane.astype(np.uint8)
    if "C" in kept:
        plane = for_float32(plane).mean(axis=-1, dtype=np.float32)
    if "S" not in kept:
        return plane
    # With both, the number chose the channel and says nothing about colours.
    by_number = "C" in image.axes and isinstance(channel, int)
    return choose_colours(plane, "auto" if by_number else channel)


def _finite(image: ImageData, index: tuple[int, ...], plane: NDArray[Any]) -> NDArray[Any]:
    if plane.dtype.kind != "f":
        return plane
    bad = ~np.isfinite(plane)
    if bad.any():
        y, x = np.argwhere(bad)[0][:2]
        place = f"plane {index}, " if index else ""
        raise UserError(
            f"{image.where} has {int(bad.sum())} NaN or infinite pixels (the first at {place}"
            f"y={y}, x={x}): replace them by numbers, for example by the smallest value."
        )
    return plane
