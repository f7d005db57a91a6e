"""Planes of a label layer as they were last known, and where a brush has been since."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sartorius.ui.correct.pixel_steps import PlaneChange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sartorius.core.edits import Box
    from napari_sartorius.ui.correct.pixel_steps import Plane

_MOST_BYTES = 1 << 28


class PlaneCopies:
    """Copies of the planes that are being worked on.

    Parameters
    ----------
    layer : Labels
        With a numpy array of (..., Y, X).
    """

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        self._copies: OrderedDict[Plane, NDArray[Any]] = OrderedDict()
        self._touched: dict[Plane, Box] = {}

    @property
    def is_touched(self) -> bool:
        """Whether a brush has been anywhere since the copies were right."""
        return bool(self._touched)

    def keep(self, plane: Plane | None) -> None:
        """Copy a plane unless that was done, and drop copies that were not needed for longest."""
        if plane is None:
            return
        if plane in self._copies:
            self._copies.move_to_end(plane)
            return
        self._copies[plane] = np.array(self._layer.data[plane])
        size = self._copies[plane].nbytes
        while len(self._copies) > 1 and len(self._copies) * size > _MOST_BYTES:
            self._copies.popitem(last=False)

    def forget(self) -> None:
        """Drop all copies."""
        self._copies.clear()

    def follow(self, changes: Iterable[PlaneChange], which: Literal["before", "after"]) -> None:
        """Write the labels from before or after a step into the copies."""
        for one in changes:
            copy = self._copies.get(one.plane)
            if copy is not None:
                copy[one.y, one.x] = getattr(one, which)

    def differs(self, plane: Plane | None) -> bool:
        """Whether a plane of which there is a copy has changed anywhere, touched or not."""
        copy = self._copies.get(plane) if plane is not None else None
        return copy is not None and not np.array_equal(copy, self._layer.data[plane])

    def touch(self, plane: Plane, box: Box | None = None) -> None:
        """Note where a brush has been; None stands for the whole plane."""
        if box is None:
            height, width = self._layer.data.shape[-2:]
            box = (0, 0, height, width)
        old = self._touched.get(plane, box)
        self._touched[plane] = (
            min(old[0], box[0]),
            min(old[1], box[1]),
            max(old[2], box[2]),
            max(old[3], box[3]),
        )

    def untouch(self) -> None:
        """Forget where a brush has been."""
        self._touched = {}

    def differences(self) -> list[PlaneChange] | None:
        """Return what has changed where a brush has been; None where a copy is missing."""
        changes = []
        for plane, (y0, x0, y1, x1) in self._touched.items():
            copy = self._copies.get(plane)
            if copy is None:
                return None
            now, then = self._layer.data[plane][y0:y1, x0:x1], copy[y0:y1, x0:x1]
            y, x = np.nonzero(now != then)
            if len(y):
                changes.append(PlaneChange(plane, y + y0, x + x0, then[y, x], now[y, x]))
        return changes
