"""Open any image file a user drops: the one place that decides by content which reader to use."""

from __future__ import annotations

from pathlib import Path

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.image_data import ImageData, PixelSource, image_from_array
from napari_sartorius.io.planes import (
    channel_count,
    plane_axes,
    plane_shape,
    planes,
    read_plane,
)
from napari_sartorius.io.raster import decode_jpeg, decode_png
from napari_sartorius.io.tiff_reading import read_tiff

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageData",
    "PixelSource",
    "channel_count",
    "image_from_array",
    "plane_axes",
    "plane_shape",
    "planes",
    "read_image",
    "read_plane",
]

IMAGE_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".png", ".jpg", ".jpeg")
"""Suffixes by which a folder is searched for images; opening goes by content instead."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_image(path: str | Path, *, as_shown: bool = True) -> ImageData:
    """Read a PNG, JPEG or TIFF file, whatever its name ends in.

    Parameters
    ----------
    path
        The file. TIFF: see `napari_sartorius.io.tiff_reading.read_tiff`. JPEG orientation tags are
        not applied, so that pixel positions agree with other tools.
    as_shown
        Whether large values are bright: a TIFF in which 0 is white is turned over. False gives the
        file's numbers, which is what labels and masks are.

    Returns
    -------
    ImageData
        Original dtype and values; lazy for a large TIFF.

    Raises
    ------
    UserError
        One sentence naming the file when it is missing, empty, cut off, damaged or no image.
    """
    path = Path(path)
    head = _first_bytes(path)
    if head.startswith(_TIFF):
        return read_tiff(path, as_shown=as_shown)
    if not head.startswith((_PNG, _JPEG)):
        raise UserError(
            f"{path} is not an image this program can read, expected PNG, JPEG or TIFF content: "
            "export the image again, best as TIFF."
        )
    data = path.read_bytes()
    pixels = decode_png(data, path) if head.startswith(_PNG) else decode_jpeg(data, path)
    axes = "YX" if pixels.ndim == 2 else "YXS"
    return ImageData(pixels, axes, None, path, path.name)


def _first_bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            # A pipe would have to be read twice; one that nobody writes to would never answer.
            raise UserError(f"{path} is a pipe or a device, expected a file: save the image first.")
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: check the path.") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder, expected an image file.") from error
    except OSError as error:
        if path.is_dir():  # Windows reports a folder as "permission denied"
            raise UserError(f"{path} is a folder, expected an image file.") from error
        raise UserError(
            f"{path} cannot be opened ({error.strerror or error}): check its permissions."
        ) from error
    if not head:
        raise UserError(f"{path} is empty (0 bytes): copy or export it again.")
    return head
