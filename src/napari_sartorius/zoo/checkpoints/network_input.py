"""What an imported network must be fed: grey levels, channel order, image size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.zoo.card import InputSize

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.settings import Settings

Levels = tuple[float, float, float]
"""One number for each of blue, green and red."""

STOCK_MEAN: Levels = (103.53, 116.28, 123.675)
"""Grey levels of blue, green and red that detectron2's stock models subtract."""


def read_normalisation(
    path: Path,
    weights: Mapping[str, NDArray[Any]],
    settings: Settings,
    assumed: list[str],
    usual: tuple[Levels, Levels] = (STOCK_MEAN, (1.0, 1.0, 1.0)),
) -> Normalisation:
    """Means, deviations and channel order; what nobody says is added to `assumed`.

    Parameters
    ----------
    path, weights, settings
        Of the checkpoint.
    assumed
        Hears what nobody says.
    usual
        Means and deviations that are assumed then.

    Raises
    ------
    UserError
        When configuration and checkpoint contradict each other.
    """
    mean = _constant(path, weights, settings, "MEAN", usual[0])
    std = _constant(path, weights, settings, "STD", usual[1])
    if min(std) <= 0:
        raise UserError(
            f"{settings.path or path}: a standard deviation (PIXEL_STD) is {min(std):g}, expected "
            "numbers above 0; correct the configuration"
        )
    order = settings.values.get("INPUT.FORMAT", "BGR")
    if "MODEL.PIXEL_MEAN" not in settings and "pixel_mean" not in weights:
        levels = ", ".join(f"{level:g}" for level in usual[0])
        divided = "" if set(usual[1]) == {1.0} else f" divided by {usual[1][0]:g}"
        assumed.append(
            f"grey levels of 0 to 255 minus {levels} (blue, green, red){divided} are fed to the "
            "network"
        )
    return Normalisation(method="fixed", mean=mean, std=std, channel_order=order)


def _constant(
    path: Path,
    weights: Mapping[str, NDArray[Any]],
    settings: Settings,
    name: str,
    stock: Levels,
) -> Levels:
    """A mean or deviation: the configuration's, the checkpoint's, or the stock one."""
    key, stored = f"MODEL.PIXEL_{name}", weights.get(f"pixel_{name.lower()}")
    found = settings.numbers(key, stock, 3)
    if stored is not None and stored.size == 3 and np.isfinite(stored).all():
        kept = [round(float(v), 5) for v in stored.ravel()]
        if key in settings and not np.allclose(kept, found, rtol=1e-3, atol=1e-3):
            raise UserError(
                f"{settings.path}: {key} is not the one stored in {path}; give the configuration "
                "with which this checkpoint was trained"
            )
        found = tuple(kept)
    return found[0], found[1], found[2]


def read_input_size(
    settings: Settings, assumed: list[str], usual: tuple[int, int] = (800, 1333)
) -> InputSize | None:
    """Size that images are brought to; None when the configuration says that they are not.

    `usual` are the shorter and longer edge where it says nothing.
    """
    short = int(settings.number("INPUT.MIN_SIZE_TEST", usual[0]))
    long = int(settings.number("INPUT.MAX_SIZE_TEST", usual[1]))
    if "INPUT.MIN_SIZE_TEST" not in settings:
        assumed.append(
            f"images are brought to a shorter edge of {short} and a longer one of at most {long} "
            "pixels"
        )
    return InputSize(short_edge=short, long_edge=long) if short > 0 else None
