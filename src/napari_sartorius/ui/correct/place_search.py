"""Looks for cells without a label in a thread of its own, so that nobody waits for it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_sartorius.postprocess.missed import unlabelled_places

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sartorius.ui.correct.pixel_steps import Plane
    from napari_sartorius.ui.correct.session import CorrectionSession

_MOST_PIXELS = 1 << 27  # of all planes together; larger stacks are not searched


class PlaceSearch(QObject):
    """One search after the other; a newer one takes the place of one that still runs.

    Parameters
    ----------
    session : CorrectionSession
        Whose labels are the examples.
    image_of : callable
        Returns the pixels below a plane, or None where there is no image.
    """

    found = Signal(object)
    """List of (plane, box, likeness); see `unlabelled_places`."""

    _ready = Signal(int, object)  # from the thread into this one

    def __init__(
        self,
        session: CorrectionSession,
        image_of: Callable[[Plane], NDArray[Any] | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._image_of = image_of
        self._ticket = 0
        self._thread: threading.Thread | None = None
        self._ready.connect(self._on_ready)

    def start(self) -> None:
        """Look at the layer as it is now."""
        self._ticket += 1
        data = self._session.layer.data
        planes = list(self._session.rows.boxes)
        if data.size > _MOST_PIXELS or not planes or self._image_of(planes[0]) is None:
            return
        jobs = [(plane, self._image_of(plane), np.array(data[plane])) for plane in planes]
        self._thread = threading.Thread(
            target=self._search, args=(self._ticket, jobs), name="unlabelled places", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._ticket += 1
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _search(self, ticket: int, jobs: list[tuple[Plane, Any, NDArray[Any]]]) -> None:
        places = []
        for plane, image, labels in jobs:
            if ticket != self._ticket:
                return
            pixels = np.asarray(image)
            if pixels.shape[:2] == labels.shape:
                result = unlabelled_places(pixels, labels)
                pairs = zip(result.boxes.tolist(), result.likeness.tolist(), strict=True)
                places += [(plane, tuple(box), likeness) for box, likeness in pairs]
        with contextlib.suppress(RuntimeError):  # Qt has deleted this meanwhile
            self._ready.emit(ticket, places)

    def _on_ready(self, ticket: int, places: object) -> None:
        if ticket == self._ticket:
            self.found.emit(places)
