"""Walking through the planes of an image with a share of the progress for each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.images import ImageData, plane_axes, plane_shape, planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sartorius.core.channels import ChannelChoice

_MOST_UNNAMED = 2
_NAMED = set("TZ")


@dataclass(frozen=True, eq=False, slots=True)
class PlaneVisit:
    """A plane that it is the turn of.

    Attributes
    ----------
    index
        Position along the image's stack axes, () for a single picture.
    pixels
        (Y, X) or (Y, X, 3).
    monitor
        Whom to report to while working on it.
    is_blank
        Whether every pixel has the same value: nothing can be found there, so no network is asked.
    """

    index: tuple[int, ...]
    pixels: NDArray[Any]
    monitor: Monitor
    is_blank: bool


class PlaneWalk:
    """The planes of an image, one after the other.

    Parameters
    ----------
    picture
        Any image.
    channel
        As for `io.images.planes`.
    monitor
        Hears of the whole image.

    Attributes
    ----------
    notices
        What the user was told about the image as a whole, complete when the walk is over: pictures
        of its file left out, and how many planes are blank.
    """

    def __init__(self, picture: ImageData, channel: ChannelChoice, monitor: Monitor) -> None:
        self._picture = picture
        self._channel = channel
        self._monitor = monitor
        self.notices: list[str] = []

    def __iter__(self) -> Iterator[PlaneVisit]:
        """Visit the planes in order, reading each only when it is its turn.

        Blank planes before the first with something on it are visited together with that one, so
        that an image that is blank everywhere fails before anything was made of it.

        Raises
        ------
        UserError
            When there are more axes without a name than one can guess the meaning of, when all
            planes are blank, and as `io.images.planes`.
        """
        picture, total = self._picture, math.prod(plane_shape(self._picture))
        _check_axes(picture)
        for note in picture.notes:
            self._tell(note)
        blank = 0
        waiting: list[PlaneVisit] = []
        for number, (index, pixels) in enumerate(planes(picture, self._channel)):
            self._monitor.check()
            name = f"plane {number + 1} of {total}: " if total > 1 else ""
            share = SubMonitor(self._monitor, number / total, (number + 1) / total, prefix=name)
            if pixels.min() != pixels.max():
                yield from waiting
                waiting.clear()
                yield PlaneVisit(index, pixels, share, False)
                continue
            blank += 1
            share.progress("blank", 1.0)
            # One value is all there is to remember of it.
            same = np.broadcast_to(pixels.reshape(-1)[0], pixels.shape)
            if blank <= number:
                yield PlaneVisit(index, same, share, True)
            else:
                waiting.append(PlaneVisit(index, same, share, True))
        if blank == total:
            what = f"in each of its {total} planes all pixels" if total > 1 else "all its pixels"
            raise UserError(
                f"{picture.where} is blank, {what} are alike: check the exposure, or choose "
                "another channel."
            )
        if blank:
            were = agree(blank, "is blank and was", "are blank and were")
            self._tell(f"{blank:,} of {plural(total, 'plane')} of {picture.name} {were} skipped")

    def _tell(self, notice: str) -> None:
        self.notices.append(notice)
        self._monitor.notice(notice)


def _check_axes(picture: ImageData) -> None:
    if sum(axis not in _NAMED for axis in plane_axes(picture)) > _MOST_UNNAMED:
        raise UserError(
            f"{picture.where} has {len(picture.axes)} dimensions without names (axes "
            f"{picture.axes}), expected at most time, z, y, x: select one slice of it, or save it "
            "as OME-TIFF, which names its axes."
        )
