"""What the user chose to segment: an image layer, a channel, and which of its slices.

Knows how a napari image layer is laid out (multiscale, RGB, time and depth in front), so that the
rest of the room can speak of planes (Y, X) or (Y, X, 3) and of the transform of the result.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.smallest_image import SMALLEST_SIDE
from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

CHANNELS = ("auto", "luminance", "red", "green", "blue")
"""Choices for a colour image, in the order of the menu."""

_PLAIN_UNITS = {"pixel", "dimensionless", ""}


def full_resolution(layer: Image) -> Any:
    """Return the layer's array (numpy, dask, zarr ...) at full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def leading_shape(layer: Image) -> tuple[int, ...]:
    """Return the sizes of the axes in front of (Y, X): empty for a plain image."""
    shape = full_resolution(layer).shape
    return tuple(int(n) for n in shape[: -3 if layer.rgb else -2])


def plane_shape(layer: Image) -> tuple[int, int]:
    """Return (height, width) of one slice of the layer."""
    shape = full_resolution(layer).shape
    height, width = shape[-3:-1] if layer.rgb else shape[-2:]
    return int(height), int(width)


def pixel_size_um(layer: Image) -> float | None:
    """Return the layer's pixel size in micrometres, or None when its units do not tell a length.

    Raises nothing: an anisotropic plane gives the geometric mean of both sides.
    """
    units = getattr(layer, "units", None)
    if not units or len(units) < 2:
        return None
    sides = []
    for unit, scale in zip(units[-2:], tuple(layer.scale)[-2:], strict=True):
        if str(unit) in _PLAIN_UNITS:
            return None
        try:
            sides.append(float((1.0 * unit).to("micrometer").magnitude) * abs(float(scale)))
        except Exception:  # pint has many error classes; any of them means "not a length"
            return None
    size = math.sqrt(sides[0] * sides[1])
    return size if math.isfinite(size) and size > 0 else None


def describe(layer: Image) -> str:
    """Return one short line about the layer, such as ``704 × 520 px · 12 slices · uint16``."""
    height, width = plane_shape(layer)
    slices = math.prod(leading_shape(layer))
    parts = [f"{width} × {height} px"]  # noqa: RUF001
    if leading_shape(layer):
        parts.append(plural(slices, "slice"))
    parts.append("colour" if layer.rgb else "grey")
    parts.append(str(full_resolution(layer).dtype))
    size = pixel_size_um(layer)
    if size is not None:
        parts.append(f"{size:.3g} µm/px")
    return " · ".join(parts)


def why_unusable(layer: Image) -> str | None:
    """Return one sentence saying why this layer cannot be segmented, or None when it can."""
    array = full_resolution(layer)
    if min(plane_shape(layer)) < SMALLEST_SIDE:
        return (
            f"'{layer.name}' is too small to show a cell: choose an image of at least "
            f"{SMALLEST_SIDE} by {SMALLEST_SIDE} pixels."
        )
    if array.size == 0:
        return f"'{layer.name}' holds no pixels: choose another image."
    if np.dtype(array.dtype).kind not in "uifb":
        return f"'{layer.name}' holds {array.dtype} values: convert it to integers or floats."
    return None


def current_index(layer: Image, point: tuple[float, ...]) -> tuple[int, ...]:
    """Return the slice of the layer that the viewer's sliders point at.

    Parameters
    ----------
    layer : Image
        Its last dimensions align with the viewer's last dimensions, as napari has it.
    point : tuple of float
        The viewer's ``dims.point`` in world coordinates.
    """
    leading = leading_shape(layer)
    if not leading:
        return ()
    here = layer.world_to_data(tuple(point)[-layer.ndim :])
    return tuple(
        int(min(max(round(float(value)), 0), size - 1))
        for value, size in zip(here, leading, strict=False)
    )


class PlaneChoice(NamedTuple):
    """Which part of the layer a run is about.

    Parameters
    ----------
    indices : tuple of tuple of int
        Positions along the leading axes, one per plane; ``((),)`` for a plain image.
    whole : bool
        True when these are all planes of the layer.
    """

    indices: tuple[tuple[int, ...], ...]
    whole: bool

    @classmethod
    def everything(cls, layer: Image) -> PlaneChoice:
        """All planes of the layer, the last leading axis running fastest."""
        return cls(tuple(np.ndindex(*leading_shape(layer))), True)

    @classmethod
    def current(cls, layer: Image, point: tuple[float, ...]) -> PlaneChoice:
        """The plane that the viewer shows now."""
        leading = leading_shape(layer)
        return cls((current_index(layer, point),), math.prod(leading) == 1)


def take_plane(layer: Image, index: tuple[int, ...]) -> NDArray[Any]:
    """Return one plane as a numpy array of its own, (Y, X) or (Y, X, 3 or 4).

    It is a copy, so that painting into the layer during a run does not reach the network.

    Raises
    ------
    UserError
        If a lazily loaded layer cannot be read.
    """
    try:
        return np.array(full_resolution(layer)[index])
    except MemoryError as error:
        raise UserError(
            f"There is not enough memory to read '{layer.name}': close other programs or crop it."
        ) from error
    except Exception as error:  # a lazy array can raise anything its storage raises
        raise UserError(f"The pixels of '{layer.name}' could not be read: {error}") from error
