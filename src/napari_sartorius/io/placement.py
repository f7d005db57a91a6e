"""Where a layer lies in napari's world: how far its pixels and planes are apart, where it begins.

What a file says about sizes becomes a layer's scale and units, and what a layer has beyond that (a
place, units that are no lengths) is kept with what is saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_sartorius.io.pixel_size import unit_in_micrometres, unit_in_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEY = "placement"
"""Key under which a record of an image, or the description of a label TIFF, keeps it."""

_NO_LENGTH = "pixel"
_STEP_KEYS = {"Z": "z_step_um", "T": "time_step_s"}


@dataclass(frozen=True)
class Placement:
    """Scale, beginning and units of a layer, one entry for each axis.

    Attributes
    ----------
    scale
        World units per pixel, or per plane.
    translate
        Where the first pixel of the first plane lies, in world units.
    units
        Name of the unit of each axis, ``pixel`` where there is none.
    """

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]

    @classmethod
    def of_layer(cls, meta: Mapping[str, Any], ndim: int) -> Placement | None:
        """The placement of a layer of `ndim` axes; None when it has no units or nothing to tell."""
        units = meta.get("units")
        if units is None or isinstance(units, str):
            return None
        given = {
            "scale": meta.get("scale", [1.0] * ndim),
            "translate": meta.get("translate", [0.0] * ndim),
            "units": [str(unit) for unit in units],
        }
        found = cls.from_dict(given, ndim)
        return None if found is None or found._is_plain else found

    @classmethod
    def from_dict(cls, value: Any, ndim: int | None = None) -> Placement | None:
        """Read what `to_dict` gave; None for anything that no viewer could use."""
        try:
            scale = tuple(float(one) for one in value["scale"])
            translate = tuple(float(one) for one in value["translate"])
            units = tuple(str(one) for one in value["units"])
        except (KeyError, TypeError, ValueError):
            return None
        usable = len(scale) == len(translate) == len(units) >= 2 and ndim in (None, len(scale))
        if not usable or not all(map(math.isfinite, scale + translate)) or 0.0 in scale:
            return None
        # A unit that is not known here may be unknown to the viewer, which then opens nothing.
        return cls(scale, translate, tuple(one if _is_known(one) else _NO_LENGTH for one in units))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "scale": list(self.scale),
            "translate": list(self.translate),
            "units": list(self.units),
        }

    def keywords(self) -> dict[str, Any]:
        """Arguments of a layer."""
        return {"scale": self.scale, "translate": self.translate, "units": self.units}

    def moved(self, planes: Sequence[int]) -> Placement:
        """The same some planes further along the first axes."""
        steps = [*planes, *[0] * (len(self.scale) - len(planes))]
        moves = zip(self.translate, self.scale, steps, strict=True)
        return replace(self, translate=tuple(t + s * n for t, s, n in moves))

    def within(self, lead: int) -> Placement:
        """For a layer with `lead` axes in front of (Y, X) that are not those of this one."""
        return Placement(
            (1.0,) * lead + self.scale[-2:],
            (0.0,) * lead + self.translate[-2:],
            (_NO_LENGTH,) * lead + self.units[-2:],
        )

    @property
    def _is_plain(self) -> bool:
        return (
            set(self.scale) == {1.0}
            and set(self.translate) == {0.0}
            and all(_in_pixels(unit) for unit in self.units)
        )


def keywords_of_sizes(
    axes: str, pixel_size_yx: tuple[float, float] | None, steps: Mapping[str, float]
) -> dict[str, Any]:
    """Scale and units of a layer by what a file says; empty when it says nothing.

    Parameters
    ----------
    axes
        A letter for each axis, Y and X last.
    pixel_size_yx
        In micrometres, or None.
    steps
        How far planes are apart: ``Z`` in micrometres, ``T`` in seconds. A depth is of use beside a
        pixel size only.
    """
    known: dict[str, tuple[float, str]] = {}
    if pixel_size_yx is not None:
        known |= {"Y": (pixel_size_yx[0], "um"), "X": (pixel_size_yx[1], "um")}
        if "Z" in steps:
            known["Z"] = steps["Z"], "um"
    if "T" in steps and "T" in axes:
        known["T"] = steps["T"], "s"
    if not known:
        return {}
    each = [known.get(axis, (1.0, _NO_LENGTH)) for axis in axes]
    return {"scale": tuple(step for step, _ in each), "units": tuple(unit for _, unit in each)}


def layer_steps(meta: Mapping[str, Any], axes: str) -> dict[str, float]:
    """How far the planes of a layer are apart, for the letters of its first axes.

    Returns
    -------
    dict
        ``Z`` in micrometres and ``T`` in seconds, where the layer's units say so.
    """
    scale, units = meta.get("scale"), meta.get("units")
    if scale is None or units is None or isinstance(units, str):
        return {}
    found = {}
    for axis, step, unit in zip(axes, scale, units, strict=False):
        factor = {"Z": unit_in_micrometres, "T": unit_in_seconds}.get(axis, _unknown)(str(unit))
        if factor is not None and step:
            found[axis] = abs(float(step)) * factor
    return found


def steps_to_extra(steps: Mapping[str, float]) -> dict[str, float]:
    """Keys for an image's record: ``z_step_um`` and ``time_step_s``."""
    return {_STEP_KEYS[axis]: step for axis, step in steps.items() if axis in _STEP_KEYS}


def steps_from_extra(extra: Mapping[str, Any]) -> dict[str, float]:
    """Read what `steps_to_extra` wrote."""
    found = {}
    for axis, key in _STEP_KEYS.items():
        value = extra.get(key)
        if isinstance(value, int | float) and 0 < value < math.inf:
            found[axis] = float(value)
    return found


def is_length(unit: Any) -> bool:
    """Whether a layer's unit is one of length."""
    return unit_in_micrometres(str(unit)) is not None


def _unknown(unit: str) -> None:
    return None


def _in_pixels(unit: str) -> bool:
    return unit in ("", _NO_LENGTH, "pixels", "dimensionless")


def _is_known(unit: str) -> bool:
    return (
        _in_pixels(unit)
        or unit_in_micrometres(unit) is not None
        or unit_in_seconds(unit) is not None
    )
