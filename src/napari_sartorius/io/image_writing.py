"""Pictures as TIFF without any loss: for pixels that have no file of their own yet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

# What OME-XML has a name for; other types are kept in a TIFF with tifffile's own description.
_OME_TYPES = ["int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"]


def write_image_planes(
    path: str | Path,
    planes: Iterable[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: Any,
    *,
    axes: str,
    pixel_size: tuple[float, float] | None = None,
    steps: Mapping[str, float] | None = None,
) -> None:
    """Write a picture or a stack with one plane in memory at a time.

    Parameters
    ----------
    path
        File to make or replace, atomically.
    planes
        (Y, X) or, with S in `axes`, (Y, X, 3 or 4), in the order of the stack; asked for one after
        the other.
    shape, axes
        Of the whole, for example ``(5, 512, 512, 3)`` and ``"TYXS"``; T and Z may stand in front.
    dtype
        Type of a pixel value, kept as it is; only bool becomes uint8 with 0 and 1.
    pixel_size
        (y, x) in micrometres; written where OME readers and ImageJ look for it.
    steps
        How far planes are apart: ``Z`` in micrometres, ``T`` in seconds, where known.

    Raises
    ------
    UserError
        When values are no real numbers or the file cannot be written; whatever `planes` raises.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "buif" or kind.itemsize > 8:
        raise UserError(
            f"{path}: {kind} values cannot be saved as an image, expected whole numbers or floats "
            "of at most 64 bits: convert the image first."
        )
    kind = np.dtype(np.uint8) if kind.kind == "b" else kind.newbyteorder("=")
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {}
    ome = kind.name in _OME_TYPES
    if pixel_size is not None:
        y, x = pixel_size
        options = {"resolution": (1e4 / x, 1e4 / y), "resolutionunit": "CENTIMETER"}
        if ome:
            metadata |= {"PhysicalSizeY": y, "PhysicalSizeYUnit": "µm"}
            metadata |= {"PhysicalSizeX": x, "PhysicalSizeXUnit": "µm"}
    if ome:
        metadata |= ome_steps(steps or {}, axes)
    with atomic_write(path) as temporary:
        tifffile.imwrite(
            temporary,
            (np.ascontiguousarray(plane, kind) for plane in planes),
            shape=shape,
            dtype=kind,
            ome=ome,
            bigtiff=math.prod(shape) * kind.itemsize > 3 * 2**30,
            photometric="rgb" if axes.endswith("S") else "minisblack",
            compression="zlib",
            software="napari-sartorius",
            metadata=metadata,
            **options,
        )


def ome_steps(steps: Mapping[str, float], axes: str) -> dict[str, Any]:
    """Attributes of OME-XML for how far planes are apart, of the axes that there are."""
    metadata: dict[str, Any] = {}
    if "Z" in steps and "Z" in axes:
        metadata |= {"PhysicalSizeZ": steps["Z"], "PhysicalSizeZUnit": "µm"}
    if "T" in steps and "T" in axes:
        metadata |= {"TimeIncrement": steps["T"], "TimeIncrementUnit": "s"}
    return metadata
