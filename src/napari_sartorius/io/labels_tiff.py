"""Label images as TIFF: what Fiji, CellProfiler, QuPath and napari all understand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.io.image_writing import ome_steps
from napari_sartorius.io.images import read_image
from napari_sartorius.io.placement import KEY, Placement
from napari_sartorius.io.raster import palette_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_sartorius.io.image_data import ImageData

# The Software tag; pictures that this package saves have another one.
_MARK = "napari-sartorius labels"
_OME_AXES = {2: "YX", 3: "TYX", 4: "TZYX"}


def write_labels(
    path: str | Path,
    labels: NDArray[Any],
    *,
    pixel_size: float | tuple[float, float] | None = None,
    axes: str | None = None,
    steps: Mapping[str, float] | None = None,
    placement: Placement | None = None,
    description: str | None = None,
) -> None:
    """Write a label image as OME-TIFF with the smallest unsigned type that holds it.

    Parameters
    ----------
    path
        File to make or replace, atomically.
    labels
        (Y, X) integers, 0 is background; or a stack of such planes, up to (T, Z, Y, X).
    pixel_size
        In micrometres, one number or (y, x); written where OME readers and ImageJ look for it.
    axes
        One letter per dimension out of T, Z, Y, X; None: the last ones of ``"TZYX"``, T for one.
    steps
        How far planes are apart: ``Z`` in micrometres, ``T`` in seconds, where known.
    placement
        Where the layer lies; kept in the file in place of a description and read by
        `label_placement`.
    description
        Free text kept in the file, for example provenance as JSON.

    Raises
    ------
    UserError
        When `labels` are no labels, or the file cannot be written.
    """
    labels = smallest_unsigned(labels, str(path))
    axes = axes or _OME_AXES.get(labels.ndim, "")
    if placement is not None:
        description = json.dumps({KEY: placement.to_dict()})
    _write(path, labels, labels.shape, labels.dtype, axes, pixel_size, steps, description)


def write_label_planes(
    path: str | Path,
    planes: Iterable[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: Any,
    *,
    axes: str,
    pixel_size: float | tuple[float, float] | None = None,
    steps: Mapping[str, float] | None = None,
) -> None:
    """Write a stack of label images as `write_labels` does, with one plane in memory at a time.

    Parameters
    ----------
    path
        File to make or replace, atomically.
    planes
        (Y, X) integers each, in the order of the stack; asked for one after the other.
    shape, axes
        Of the whole stack, for example ``(5, 512, 512)`` and ``"TYX"``.
    dtype
        Unsigned type that holds all labels.
    pixel_size, steps
        As for `write_labels`.

    Raises
    ------
    UserError
        When the axes do not fit, or the file cannot be written.
    """
    stack = (np.ascontiguousarray(plane, dtype) for plane in planes)
    _write(path, stack, shape, np.dtype(dtype), axes, pixel_size, steps, None)


def _write(
    path: str | Path,
    data: NDArray[Any] | Iterator[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    pixel_size: float | tuple[float, float] | None,
    steps: Mapping[str, float] | None,
    description: str | None,
) -> None:
    if len(axes) != len(shape) or not axes.endswith("YX") or set(axes) - set("TZYX"):
        raise UserError(
            f"{path}: labels of shape {shape} with axes {axes!r} cannot be saved as TIFF, "
            "expected (y, x) or a stack of up to (t, z, y, x): save one slice at a time."
        )
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {}
    if description:
        metadata["Description"] = description
    if pixel_size is not None:
        y, x = pixel_size if isinstance(pixel_size, tuple) else (pixel_size, pixel_size)
        metadata |= {"PhysicalSizeY": y, "PhysicalSizeYUnit": "µm"}
        metadata |= {"PhysicalSizeX": x, "PhysicalSizeXUnit": "µm"}
        options = {"resolution": (1e4 / x, 1e4 / y), "resolutionunit": "CENTIMETER"}
    metadata |= ome_steps(steps or {}, axes)
    with atomic_write(path) as temporary:
        tifffile.imwrite(
            temporary,
            data,
            shape=shape,
            dtype=dtype,
            ome=True,
            bigtiff=math.prod(shape) * dtype.itemsize > 3 * 2**30,
            photometric="minisblack",
            compression="zlib",
            software=_MARK,
            metadata=metadata,
            **options,
        )


def is_marked(path: Path) -> bool:
    """Whether a file is a label image that this package wrote; only its head is read."""
    try:
        with tifffile.TiffFile(path) as tif:
            return str(tif.pages.first.software) == _MARK
    except Exception:  # whatever a file that is no TIFF provokes
        return False


def label_placement(path: Path, ndim: int) -> Placement | None:
    """Where a layer that `write_labels` saved lies; None for other files and without a place."""
    try:
        with tifffile.TiffFile(path) as tif:
            page = tif.pages.first
            root = ElementTree.fromstring(page.description.encode())
            if str(page.software) != _MARK:
                return None
    except Exception:  # no TIFF, or no OME-XML
        return None
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "Description":
            try:
                said = json.loads(element.text or "")
            except ValueError:
                return None
            return Placement.from_dict(said.get(KEY), ndim) if isinstance(said, dict) else None
    return None


def read_labels(path: str | Path) -> ImageData:
    """Read a label image from TIFF or PNG.

    Returns
    -------
    ImageData
        In memory, smallest unsigned type, axes and pixel size as the file says.

    Raises
    ------
    UserError
        When the file cannot be read, has colours, or holds values that are no labels.
    """
    image = read_image(path, as_shown=False)
    if "S" in image.axes and (numbers := palette_numbers(Path(path))) is not None:
        image = replace(image, pixels=numbers, axes="YX")
    if "S" in image.axes:
        raise UserError(
            f"{path} is a colour picture, expected a label image with one whole number per pixel: "
            "export the labels themselves, not their colours."
        )
    return replace(image, pixels=smallest_unsigned(image.to_array(), str(path)))


def read_label_instances(path: str | Path) -> Instances:
    """Read a label image (Y, X) as objects, in the order of their labels.

    Returns
    -------
    Instances
        Scores 1, categories 0, column ``label`` with the file's numbers.

    Raises
    ------
    UserError
        As `read_labels`, and when the file holds a stack.
    """
    image = read_labels(path)
    if image.axes != "YX":
        raise UserError(
            f"{path} is a stack ({image.axes}), expected a single label image: save the slice that "
            "belongs to the image."
        )
    masks, ids = CropMasks.from_labels(image.to_array())
    instances = Instances.from_masks(masks)
    instances.columns["label"] = ids
    return instances


def smallest_unsigned(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """Return labels in the smallest unsigned type that holds them.

    Float images whose values are all whole numbers count as labels: Fiji saves them so.

    Raises
    ------
    UserError
        When values are negative or no whole numbers; `name` says of what.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind == "b":
        return labels.astype(np.uint8)
    whole = labels.dtype.kind in "ui" or (
        labels.dtype.kind == "f" and bool(np.all(labels == np.floor(labels)))
    )
    if not whole or (labels.size and (labels.min() < 0 or labels.max() >= 2**63)):
        raise UserError(
            f"{name}: values are not labels, expected whole numbers from 0 (background) up: "
            "choose a label image."
        )
    highest = int(labels.max()) if labels.size else 0
    return labels.astype(np.min_scalar_type(highest), copy=False)
