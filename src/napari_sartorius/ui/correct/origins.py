"""What objects were before they were first changed, to tell edited ones from those put back.

Whether an object counts as edited follows from its pixels alone, so every undo sets it right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.edits.objects import mask_of
from napari_sartorius.ui.correct.pixel_steps import Plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_sartorius.core.edits import BoxIndex
    from napari_sartorius.ui.correct.pixel_steps import PlaneChange

MODEL, EDITED, DRAWN, PROMPTED = "model", "edited", "drawn", "drawn with model"
"""What the column ``source`` may say: as a run found it, changed by hand, made by hand, drawn by a
model where a hand pointed. A later run replaces nothing but the first."""


@dataclass
class Origin:
    """One object as it was: where it came from, and its pixels in each plane as a checksum."""

    source: str
    signatures: dict[Plane, bytes] = field(default_factory=dict)
    differs: set[Plane] = field(default_factory=set)


class Origins:
    """The origins of all objects of a layer that were changed."""

    def __init__(self) -> None:
        self._known: dict[int, Origin] = {}

    def take(self, label: int) -> Origin | None:
        """Forget the origin of a label and return it."""
        return self._known.pop(label, None)

    def put(self, label: int, origin: Origin) -> None:
        """Give a label an origin that was taken."""
        self._known[label] = origin

    def source(self, label: int, now: str) -> str:
        """Return what the column source must say of an object that says `now`."""
        origin = self._known.get(label)
        if origin is None:
            return now
        return EDITED if origin.source == MODEL and origin.differs else origin.source

    def note(
        self,
        change: PlaneChange,
        labels: Iterable[int],
        image: NDArray[np.integer],
        boxes: BoxIndex,
        source_of: Callable[[int], str | None],
    ) -> None:
        """Remember objects as they were before a change that was just made.

        Parameters
        ----------
        change : PlaneChange
            The change.
        labels : iterable of int
            The objects that it touched.
        image : (H, W) int
            The plane, after the change.
        boxes : BoxIndex
            Of the plane, before the change.
        source_of : callable
            What the column source says of an object; None for one that was nowhere before.
        """
        lost, won = _Groups(change, change.before), _Groups(change, change.after)
        for label in labels:
            origin = self._known.get(label)
            if origin is not None and change.plane in origin.signatures:
                continue
            source = source_of(label)
            if source is None:
                continue  # an object that is being made
            if origin is None:
                origin = self._known[label] = Origin(source)
            if label not in boxes:  # its first pixels in this plane
                origin.signatures[change.plane] = b""
                continue
            mask, corner = mask_of(image, boxes, label)
            mask = mask.copy()
            for (y, x), value in ((won.of(label), False), (lost.of(label), True)):
                y, x = y - corner[0], x - corner[1]
                inside = (y >= 0) & (x >= 0) & (y < mask.shape[0]) & (x < mask.shape[1])
                mask[y[inside], x[inside]] = value
            origin.signatures[change.plane] = _signature(mask, corner)

    def compare(
        self, label: int, plane: Plane, image: NDArray[np.integer], boxes: BoxIndex
    ) -> None:
        """Note whether an object in `image` (H, W) is as it was; `boxes` must be up to date."""
        origin = self._known.get(label)
        if origin is None or plane not in origin.signatures:  # a new object looks like this
            return
        now = _signature(*mask_of(image, boxes, label)) if label in boxes else b""
        if now == origin.signatures[plane]:
            origin.differs.discard(plane)
        else:
            origin.differs.add(plane)


class _Groups:
    """The pixels of a change by one of their labels."""

    def __init__(self, change: PlaneChange, labels: NDArray[np.integer]) -> None:
        order = np.argsort(labels, kind="stable")
        self._labels, self._y, self._x = labels[order], change.y[order], change.x[order]

    def of(self, label: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        first, last = np.searchsorted(self._labels, [label, label + 1])
        return self._y[first:last], self._x[first:last]


def _signature(mask: NDArray[np.bool_], corner: tuple[int, int]) -> bytes:
    """Tell masks apart by their pixels and their place."""
    digest = hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=16)
    digest.update(repr((mask.shape, corner)).encode())
    return digest.digest()
