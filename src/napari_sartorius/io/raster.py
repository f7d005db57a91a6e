"""Read PNG and JPEG without losing bits: 16-bit colour stays 16-bit, a cut-off file is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from PIL import Image

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_COLOUR_TYPE, _PALETTE = 25, 3  # place of the colour type in a PNG, and its value for a palette


def decode_png(data: bytes, path: Path) -> NDArray[Any]:
    """Decode a PNG; raises UserError, naming `path`, when it is damaged.

    Returns
    -------
    ndarray
        (Y, X), or (Y, X, 2 to 4) with colours and transparency; uint8 or uint16.
    """
    try:
        return np.asarray(imagecodecs.png_decode(data))
    except (imagecodecs.PngError, ValueError, MemoryError) as error:
        raise _damaged(path, "PNG", error) from error


def palette_numbers(path: Path) -> NDArray[np.uint8] | None:
    """The numbers behind the colours of a PNG with a palette, (Y, X); None for other files.

    Programs that draw objects in colours save labels so: the numbers are the labels.
    """
    head = path.read_bytes()[: _COLOUR_TYPE + 1]
    if not head.startswith(b"\x89PNG") or head[-1] != _PALETTE:
        return None
    with Image.open(path) as picture:
        return np.asarray(picture)


def decode_jpeg(data: bytes, path: Path) -> NDArray[Any]:
    """Decode a JPEG; raises UserError, naming `path`, when it is damaged.

    Returns
    -------
    ndarray
        (Y, X) or (Y, X, 3); uint8.
    """
    # The decoder fills the missing part of a cut-off file with grey and says nothing. Every scan
    # must be followed by an end marker; inside scans such byte pairs cannot occur.
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise _damaged(path, "JPEG", "it ends in the middle of the picture")
    try:
        pixels = np.asarray(imagecodecs.jpeg_decode(data))
    except (imagecodecs.JpegError, imagecodecs.Jpeg8Error, ValueError, MemoryError) as error:
        raise _damaged(path, "JPEG", error) from error
    if pixels.ndim == 3 and pixels.shape[-1] == 4:
        raise cmyk(path)
    return pixels


def cmyk(path: Path) -> UserError:
    """What to say of amounts of ink, which are dark where light is bright."""
    return UserError(
        f"{path} is a CMYK picture made for printing, expected grey or RGB: "
        "convert it to RGB, better export the original image as TIFF."
    )


def _damaged(path: Path, kind: str, error: object) -> UserError:
    return UserError(
        f"{path} is damaged or cut off and cannot be read as {kind} ({error}): "
        "copy or export it again."
    )
