"""Label images as OME-Zarr (OME-NGFF 0.4): for pictures that are too large for one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_VERSION = "0.4"
_CHUNK = 1024
_SMALLEST = 256
"""Levels are halved until the longer side has no more pixels than this."""


def write_zarr_labels(
    path: str | Path,
    labels: NDArray[Any],
    *,
    axes: str = "YX",
    pixel_size_yx: tuple[float, float] | None = None,
) -> None:
    """Write a label image as an OME-Zarr group with a pyramid.

    Parameters
    ----------
    path
        The ``.zarr`` folder to make; must not exist yet.
    labels
        (..., Y, X) whole numbers, 0 is background. Smaller levels take every other pixel, so that
        no label is invented.
    axes
        A letter for each axis: T, C, Z, Y, X in this order.
    pixel_size_yx
        Height and width of a pixel in micrometres, when known.

    Raises
    ------
    UserError
        When zarr is not installed, the folder is taken, or it cannot be written.
    """
    zarr = _zarr()
    labels = np.asarray(labels)
    if labels.dtype.kind not in "ui" or labels.ndim != len(axes):
        raise ValueError(f"labels of type {labels.dtype} and shape {labels.shape} for axes {axes}")
    scale = [1.0] * (labels.ndim - 2) + list(pixel_size_yx or (1.0, 1.0))
    with atomic_folder(path) as temporary:
        group = zarr.open_group(str(temporary), mode="a", zarr_format=2)
        datasets = []
        for level, data in enumerate(_levels(labels)):
            chunks = (1,) * (data.ndim - 2) + tuple(min(_CHUNK, n) for n in data.shape[-2:])
            group.create_array(str(level), data=data, chunks=chunks, chunk_key_encoding=_SLASHES)
            steps = [*scale[:-2], scale[-2] * 2**level, scale[-1] * 2**level]
            datasets.append(
                {
                    "path": str(level),
                    "coordinateTransformations": [{"type": "scale", "scale": steps}],
                }
            )
        group.attrs["multiscales"] = [
            {
                "version": _VERSION,
                "name": Path(path).stem,
                "axes": [_axis(letter, pixel_size_yx is not None) for letter in axes],
                "datasets": datasets,
            }
        ]
        group.attrs["image-label"] = {"version": _VERSION}


def read_zarr_labels(path: str | Path) -> tuple[NDArray[Any], str, tuple[float, float] | None]:
    """Read the finest level of an OME-Zarr label image.

    Returns
    -------
    labels : (..., Y, X)
        Whole numbers.
    axes : str
        A letter for each axis.
    pixel_size_yx : (float, float) or None
        In micrometres, when the file says so.

    Raises
    ------
    UserError
        When zarr is not installed or the folder holds no labels.
    """
    zarr = _zarr()
    path = Path(path)
    try:
        group = zarr.open_group(str(path), mode="r")
        scales: Any = group.attrs["multiscales"][0]
        axes = "".join(str(axis["name"]) for axis in scales["axes"]).upper()
        first = scales["datasets"][0]
        labels = np.asarray(group[first["path"]][...])
        units = [axis.get("unit") for axis in scales["axes"]][-2:]
        steps = first["coordinateTransformations"][0]["scale"][-2:]
    except Exception as error:  # zarr raises a dozen kinds for damaged or foreign folders
        raise UserError(
            f"{path} is no OME-Zarr image with axes and levels; choose the folder of a label image."
        ) from error
    if labels.dtype.kind not in "ui":
        raise UserError(
            f"{path} holds {labels.dtype} values, expected labels (whole numbers); choose the "
            "label image instead of the picture."
        )
    known = all(unit == "micrometer" for unit in units)
    return labels, axes, (float(steps[0]), float(steps[1])) if known else None


_SLASHES = {"name": "v2", "separator": "/"}


def _levels(labels: NDArray[Any]) -> Sequence[NDArray[Any]]:
    levels = [labels]
    while max(levels[-1].shape[-2:]) > _SMALLEST:
        levels.append(levels[-1][..., ::2, ::2])
    return levels


def _axis(letter: str, has_unit: bool) -> dict[str, str]:
    kind = {"T": "time", "C": "channel"}.get(letter, "space")
    axis = {"name": letter.lower(), "type": kind}
    return axis | {"unit": "micrometer"} if has_unit and letter in "YX" else axis


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise UserError(
            "zarr is not installed, which OME-Zarr needs: pip install 'zarr>=3'"
        ) from error
    return zarr
