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

STOCK_MEAN = (103.53, 116.28, 123.675)
"""Grey levels of blue, green and red that detectron2's stock models subtract."""


def read_normalisation(
    path: Path, weights: Mapping[str, NDArray[Any]], settings: Settings, assumed: list[str]
) -> Normalisation:
    """Means, deviations and channel order; what nobody says is added to `assumed`.

    Raises
    ------
    UserError
        When configuration and checkpoint contradict each other.
    """
    mean = _constant(path, weights, settings, "MEAN", STOCK_MEAN)
    std = _constant(path, weights, settings, "STD", (1.0, 1.0, 1.0))
    if min(std) <= 0:
        raise UserError(
            f"{settings.path or path}: a standard deviation (PIXEL_STD) is {min(std):g}, expected "
            "numbers above 0; correct the configuration"
        )
    order = settings.values.get("INPUT.FORMAT", "BGR")
    if "MODEL.PIXEL_MEAN" not in settings and "pixel_mean" not in weights:
        assumed.append(
            "grey levels of 0 to 255 minus 103.53, 116.28, 123.675 (blue, green, red) are fed to "
            "the network"
        )
    return Normalisation(method="fixed", mean=mean, std=std, channel_order=order)


def _constant(
    path: Path,
    weights: Mapping[str, NDArray[Any]],
    settings: Settings,
    name: str,
    stock: tuple[float, float, float],
) -> tuple[float, float, float]:
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


def read_input_size(settings: Settings, assumed: list[str]) -> InputSize | None:
    """Size that images are brought to; None when the configuration says that they are not."""
    short = int(settings.number("INPUT.MIN_SIZE_TEST", 800))
    long = int(settings.number("INPUT.MAX_SIZE_TEST", 1333))
    if "INPUT.MIN_SIZE_TEST" not in settings:
        assumed.append(
            f"images are brought to a shorter edge of {short} and a longer one of at most {long} "
            "pixels"
        )
    return InputSize(short_edge=short, long_edge=long) if short > 0 else None
