"""Find out how large a pixel is and how far planes are apart, wherever a TIFF may say so.

Asked in this order: OME-XML, ImageJ, LSM, and last the plain resolution tags, which most programs
fill with a meaningless print resolution such as 72 dots per inch; only plausible ones are believed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Callable

    import tifffile

_PREFIXES = {"": 1e6, "deci": 1e5, "centi": 1e4, "milli": 1e3, "micro": 1.0, "nano": 1e-3}
MICROMETRES = {
    **{prefix + name: size for prefix, size in _PREFIXES.items() for name in ("meter", "metre")},
    "m": 1e6,
    "dm": 1e5,
    "cm": 1e4,
    "mm": 1e3,
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "nm": 1e-3,
    "pm": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "inch": 25400.0,
    "in": 25400.0,
}
"""Length of each unit in micrometres, by its lower-case name."""

SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond"), 1e-3),
    **dict.fromkeys(("µs", "us", "microsecond"), 1e-6),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
"""Length of each unit of time in seconds, by its lower-case name."""

# Coarser than any microscope's pixel, finer than 2,540 dots per inch of paper.
_LARGEST_PLAUSIBLE = 10.0


def tiff_pixel_size(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[float, float] | None:
    """Height and width of a pixel in micrometres, or None when the file does not say.

    Parameters
    ----------
    tif
        The open file.
    page
        A page of the wanted picture, for its resolution tags.
    """
    for source in (_from_ome, _from_imagej, _from_lsm, _from_resolution):
        size = source(tif, page)
        if size is not None and all(0 < length < 1e7 for length in size):
            return size
    return None


def tiff_steps(tif: tifffile.TiffFile) -> dict[str, float]:
    """How far planes are apart: ``Z`` in micrometres and ``T`` in seconds, where the file says so.

    Parameters
    ----------
    tif
        The open file.
    """
    found: dict[str, float | None] = {}
    if (pixels := _ome_pixels(tif)) is not None:
        found["Z"] = _ome_length(pixels, "PhysicalSizeZ", "µm", unit_in_micrometres)
        found["T"] = _ome_length(pixels, "TimeIncrement", "s", unit_in_seconds)
    elif metadata := tif.imagej_metadata:
        factor = unit_in_micrometres(str(metadata.get("unit") or ""))
        spacing = _number(metadata.get("spacing"))
        found["Z"] = None if factor is None or spacing is None else spacing * factor
        found["T"] = _number(metadata.get("finterval"))
    elif lsm := (tif.lsm_metadata if tif.is_lsm else None):
        depth = _number(lsm.get("VoxelSizeZ"))
        found["Z"] = None if depth is None else depth * 1e6
        found["T"] = _number(lsm.get("TimeIntervall"))
    return {axis: step for axis, step in found.items() if step is not None and 0 < step < 1e9}


def unit_in_seconds(unit: str | None) -> float | None:
    """Length of a unit of time in seconds; None for an unknown one."""
    return SECONDS.get((unit or "").strip().replace("μ", "µ").lower())


def unit_in_micrometres(unit: str | None) -> float | None:
    r"""Length of a unit in micrometres; None for an unknown one such as ``"pixel"``.

    ImageJ writes the micro sign as the six characters ``\u00B5``, others as a Greek mu.
    """
    name = (unit or "").strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace("μ", "µ")
    return MICROMETRES.get(name.lower())


def _ome_pixels(tif: tifffile.TiffFile) -> ElementTree.Element | None:
    """What OME-XML says of the first picture."""
    xml = tif.ome_metadata
    if not xml:
        return None
    try:
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", xml))
    except ElementTree.ParseError:
        return None
    return next((one for one in root.iter() if one.tag.rpartition("}")[2] == "Pixels"), None)


def _ome_length(
    pixels: ElementTree.Element,
    name: str,
    usual_unit: str,
    measure: Callable[[str], float | None],
) -> float | None:
    factor = measure(pixels.get(f"{name}Unit", usual_unit))
    length = _number(pixels.get(name))
    return None if factor is None or length is None else length * factor


def _from_ome(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[float, float] | None:
    pixels = _ome_pixels(tif)
    if pixels is None:
        return None
    y, x = (_ome_length(pixels, f"PhysicalSize{a}", "µm", unit_in_micrometres) for a in "YX")
    # Some programs write only one of the two, meaning square pixels.
    y, x = (x if y is None else y), (y if x is None else x)
    return None if y is None or x is None else (y, x)


def _from_imagej(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[float, float] | None:
    metadata = tif.imagej_metadata
    if not metadata:
        return None
    factor = unit_in_micrometres(str(metadata.get("unit") or ""))
    return None if factor is None else _from_tags(page, factor)


def _from_lsm(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[float, float] | None:
    metadata: dict[str, Any] | None = tif.lsm_metadata if tif.is_lsm else None
    if not metadata:
        return None
    y, x = _number(metadata.get("VoxelSizeY")), _number(metadata.get("VoxelSizeX"))
    return None if y is None or x is None else (y * 1e6, x * 1e6)


def _from_resolution(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[float, float] | None:
    tag = page.tags.get("ResolutionUnit")
    factor = {2: 25400.0, 3: 1e4}.get(int(tag.value)) if tag is not None else None
    size = None if factor is None else _from_tags(page, factor)
    return size if size is not None and max(size) <= _LARGEST_PLAUSIBLE else None


def _from_tags(page: tifffile.TiffPage, unit: float) -> tuple[float, float] | None:
    sizes = []
    for name in ("YResolution", "XResolution"):
        tag = page.tags.get(name)
        if tag is None:
            return None
        numerator, denominator = tag.value
        if not numerator or not denominator:
            return None
        sizes.append(unit * denominator / numerator)
    return sizes[0], sizes[1]


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
