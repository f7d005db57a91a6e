"""Walking through the planes of an image with a share of the progress for each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.io.images import ImageData, plane_axes, plane_shape, planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sartorius.core.channels import ChannelChoice

_MOST_UNNAMED = 2
_NAMED = set("TZ")


def walk_planes(
    picture: ImageData, channel: ChannelChoice, monitor: Monitor
) -> Iterator[tuple[tuple[int, ...], NDArray[Any], Monitor]]:
    """Give each plane's index, its pixels, and the monitor to report to while working on it.

    Raises
    ------
    UserError
        When there are more axes without a name than one can guess the meaning of, and as
        `io.images.planes`.
    """
    axes = plane_axes(picture)
    if sum(axis not in _NAMED for axis in axes) > _MOST_UNNAMED:
        raise UserError(
            f"{picture.where} has {len(picture.axes)} dimensions without names (axes "
            f"{picture.axes}), expected at most time, z, y, x: select one slice of it, or save it "
            "as OME-TIFF, which names its axes."
        )
    total = math.prod(plane_shape(picture))
    for number, (index, pixels) in enumerate(planes(picture, channel)):
        monitor.check()
        name = f"plane {number + 1} of {total}: " if total > 1 else ""
        share = SubMonitor(monitor, number / total, (number + 1) / total, prefix=name)
        yield index, pixels, share
