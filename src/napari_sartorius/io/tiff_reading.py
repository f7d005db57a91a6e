"""Read every kind of TIFF a microscope writes, large ones page by page.

A picture that fits comfortably is decoded at once. A larger one stays in its file: uncompressed
pixels are mapped into memory, compressed ones decoded page by page when a plane is asked for.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.image_data import ImageData, PixelSource
from napari_sartorius.io.pixel_size import tiff_pixel_size, tiff_steps
from napari_sartorius.io.raster import cmyk
from napari_sartorius.io.turned_over import TurnedOver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EAGER_BYTES = 128 * 1024 * 1024
"""Pictures up to this size are decoded when the file is opened."""

# Bits of the tag NewSubfileType, and what slide scanners put beside the slide.
_REDUCED, _MASK = 1, 4
_COLOURS = 4  # most numbers that a pixel has for its colour: red, green, blue, alpha
_BESIDE = frozenset({"Thumbnail", "Label", "Macro", "Map"})


def read_tiff(path: Path, *, as_shown: bool = True) -> ImageData:
    """Read the first picture (series) of a TIFF file, at full resolution.

    Parameters
    ----------
    path
        TIFF, BigTIFF, OME-TIFF, ImageJ hyperstack or LSM; strips or tiles; uncompressed or in any
        compression that imagecodecs knows (LZW, deflate, zstd, JPEG ...).
    as_shown
        Whether a picture in which 0 is white is turned over, so that large values are bright.

    Returns
    -------
    ImageData
        With axes as the file names them, unnamed pages as ``Q``, colours last as ``S``. Pixels of
        more than `EAGER_BYTES` are lazy. Its `notes` tell of further pictures in the file.

    Raises
    ------
    UserError
        When the file is damaged or cut off, or holds no picture.
    """
    with _quiet():
        try:
            # Not a with-block: lazy pages keep the file open and close it when they are dropped.
            tif = tifffile.TiffFile(path)
        except Exception as error:  # struct.error and whatever else a malformed header provokes
            raise _damaged(path, error) from error
        try:
            _check_chain(tif, path)
            image = _read_series(tif, path, as_shown)
        except UserError:
            tif.close()
            raise
        except MemoryError as error:
            tif.close()
            raise UserError(
                f"{path} does not fit into memory: save it as a multi-page or tiled TIFF, "
                "or cut it into parts."
            ) from error
        except Exception as error:
            tif.close()
            raise _damaged(path, error) from error
    pixels = image.pixels.pixels if isinstance(image.pixels, TurnedOver) else image.pixels
    if not isinstance(pixels, TiffPages):
        tif.close()
    return image


class TiffPages:
    """A stack in a TIFF file that behaves as a read-only array and decodes one page at a time.

    Attributes
    ----------
    shape
        Stack axes followed by the axes of one page.
    dtype
        Type of a pixel value.
    """

    def __init__(self, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
        self._tif = tif
        self._series = series
        self._page_shape = tuple(int(n) for n in series.keyframe.shape)
        self.shape = tuple(int(n) for n in series.shape)
        self.dtype = np.dtype(series.dtype)
        weakref.finalize(self, tif.close)

    @staticmethod
    def suits(series: tifffile.TiffPageSeries) -> bool:
        """Whether the series is a plain stack of equal pages, more than one."""
        page = tuple(series.keyframe.shape)
        lead = tuple(series.shape)[: len(series.shape) - len(page)]
        stacked = len(lead) > 0 and lead + page == tuple(series.shape)
        return stacked and len(series) == int(np.prod(lead)) > 1

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        """Decode the pages that `key` (integers, slices, one ellipsis) touches."""
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key:
            at = key.index(Ellipsis)
            missing = self.ndim - len(key) + 1
            key = key[:at] + (slice(None),) * missing + key[at + 1 :]
        key = key + (slice(None),) * (self.ndim - len(key))
        lead = self.ndim - len(self._page_shape)
        numbers = np.arange(int(np.prod(self.shape[:lead]))).reshape(self.shape[:lead])
        chosen = np.asarray(numbers[key[:lead]])
        result = [self._page(int(number))[key[lead:]] for number in chosen.ravel()]
        if not result:
            raise IndexError(f"no page at {key[:lead]} in a stack of shape {self.shape[:lead]}")
        return np.stack(result).reshape(chosen.shape + result[0].shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Decode everything."""
        return np.asarray(self[()], dtype=dtype)

    def _page(self, number: int) -> NDArray[Any]:
        path = self._tif.filehandle.path
        with _quiet():
            page = self._series[number]
            if page is None:  # OME-TIFF may leave planes out; they are defined to be black
                return np.zeros(self._page_shape, self.dtype)
            _check_segments(page, self._tif, path)
            try:
                data = page.asarray()
            except Exception as error:
                raise _damaged(path, error) from error
        return np.asarray(data).reshape(self._page_shape)


def _read_series(tif: tifffile.TiffFile, path: Path, as_shown: bool) -> ImageData:
    if not tif.series:
        raise UserError(f"{path} holds no picture: choose another file.")
    series = tif.series[0]
    page = series.keyframe
    if series.dtype is None or series.size == 0:
        raise UserError(f"{path} has no pixels (shape {series.shape}): choose another image.")
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise cmyk(path)
    axes = series.axes
    if page.photometric == tifffile.PHOTOMETRIC.MINISBLACK and page.samplesperpixel > _COLOURS:
        axes = axes.replace("S", "C")  # as many greys, and none of them red
    pixels: PixelSource
    if series.nbytes > EAGER_BYTES and series.dataoffset is not None:
        _check_length(tif, series.dataoffset + series.nbytes, path)
        pixels = np.memmap(
            path,
            dtype=np.dtype(tif.byteorder + np.dtype(series.dtype).char),
            mode="r",
            offset=series.dataoffset,
            shape=tuple(series.shape),
        )
    elif series.nbytes > EAGER_BYTES and TiffPages.suits(series):
        pixels = TiffPages(tif, series)
    else:
        for part in series:
            if part is not None:
                _check_segments(part, tif, path)
        pixels = np.asarray(series.asarray())
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
            pixels, axes = _apply_palette(pixels, page.colormap), axes + "S"
    pixels, axes = _colours_last(pixels, axes)
    if as_shown and page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        whole = isinstance(pixels, np.ndarray) and not isinstance(pixels, np.memmap)
        lazy = TurnedOver(pixels, page.bitspersample)
        pixels = lazy[()] if whole else lazy
    size = tiff_pixel_size(tif, page)
    steps = {axis: step for axis, step in tiff_steps(tif).items() if axis in axes}
    return ImageData(pixels, axes, size, path, path.name, steps, _left_out(tif, path))


def _left_out(tif: tifffile.TiffFile, path: Path) -> tuple[str, ...]:
    """Tell of pictures behind the first one; smaller copies and masks of it are none."""
    more = [
        one
        for one in tif.series[1:]
        if not one.keyframe.subfiletype & (_REDUCED | _MASK) and one.name not in _BESIDE
    ]
    if not more:
        return ()
    first = tif.series[0].keyframe
    if len(more) == 1:
        others, them = "another one is", "it as a file of its own"
    else:
        others, them = f"{len(more)} others are", "each as a file of its own"
    return (
        f"{path.name} holds {len(more) + 1} pictures of which only the first one "
        f"({first.imagewidth} x {first.imagelength} pixels) is read, {others} left out: save "
        f"{them}.",
    )


def _apply_palette(indices: NDArray[Any], colormap: NDArray[Any]) -> NDArray[Any]:
    # Colour maps are 16-bit by definition, (3, 256); pictures made with them are 8-bit ones.
    colours = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8)
    return np.moveaxis(colours[:, indices], 0, -1)


def _colours_last(pixels: Any, axes: str) -> tuple[Any, str]:
    if "S" not in axes or axes.endswith("S") or isinstance(pixels, TiffPages):
        return pixels, axes  # `planes` copes with any order; arrays are turned for viewers
    return np.moveaxis(pixels, axes.index("S"), -1), axes.replace("S", "") + "S"


def _check_chain(tif: tifffile.TiffFile, path: Path) -> None:
    """Follow the chain of page headers to its end: tifffile forgives a chain that is cut off."""
    if tif.is_ndpi:  # 64-bit offsets in a 32-bit layout
        return
    handle, layout = tif.filehandle, tif.tiff
    visited: set[int] = set()
    handle.seek(8 if layout.is_bigtiff else 4)
    while True:
        raw = handle.read(layout.offsetsize)
        offset = int.from_bytes(raw, "little" if tif.byteorder == "<" else "big")
        if len(raw) < layout.offsetsize or offset + layout.tagnosize > handle.size:
            raise _damaged(path, None)
        if offset == 0 or offset in visited:
            return
        visited.add(offset)
        handle.seek(offset)
        raw = handle.read(layout.tagnosize)
        count = int.from_bytes(raw, "little" if tif.byteorder == "<" else "big")
        handle.seek(offset + layout.tagnosize + count * layout.tagsize)


def _check_segments(page: Any, tif: tifffile.TiffFile, path: Any) -> None:
    if page.parent is not tif:  # a plane in another file of an OME set
        return
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
    _check_length(tif, max(ends, default=0), path)


def _check_length(tif: tifffile.TiffFile, end: int, path: Any) -> None:
    if end > tif.filehandle.size:
        raise _damaged(path, None)


def _damaged(path: Any, error: BaseException | None) -> UserError:
    why = f" ({error})" if error is not None and str(error) else ""
    return UserError(
        f"{path} is damaged or cut off and cannot be read as TIFF{why}: copy or export it again."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep tifffile's log lines off the screen: what matters is raised as an error here."""
    logger = logging.getLogger("tifffile")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
