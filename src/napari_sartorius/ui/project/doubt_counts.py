"""How many doubtful cells each image of a project has, counted while nobody is waiting."""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.regions import region_table
from napari_sartorius.io.project.layers import features_of
from napari_sartorius.io.project.model_run import is_corrected
from napari_sartorius.postprocess.doubt import DoubtConfig, contact_shares, judge
from napari_sartorius.postprocess.usual import Usual

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from napari_sartorius.io.project import Project
    from napari_sartorius.io.project.edit import Row

    State = tuple[NDArray[Any], dict[int, Row]]

_PAUSE_MS = 30


class DoubtCounts(QObject):
    """Counts image after image; what is read from the project is read here, the rest in a thread.

    Parameters
    ----------
    project : callable
        Returns the open project, or None.
    current : callable
        Returns the name of the file that is shown; its count comes from the Correct tab.
    """

    counted = Signal(str)
    """The count of an image file is known now, or another one."""

    _ready = Signal(int, str, int)

    def __init__(
        self,
        project: Callable[[], Project | None],
        current: Callable[[], str | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._project = project
        self._current = current
        self._known: dict[str, int] = {}
        self._waiting: deque[str] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._ticket = 0
        self._live: str | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._next)
        self._ready.connect(self._on_ready)

    def of(self, name: str) -> int:
        """Return the number of doubtful cells of an image file that nobody has looked at."""
        return self._known.get(name, 0)

    def tell(self, name: str, count: int) -> None:
        """Take over the count of the shown image from who follows its every edit."""
        self._live = name
        self._set(name, count)

    def forget_live(self) -> None:
        """Count the shown image like all others: another one is shown, and nobody follows it."""
        self._live = None

    def restart(self, names: list[str]) -> None:
        """Count these images of another project."""
        self.stop()
        self._known = {}
        self.count(names)

    def count(self, names: list[str]) -> None:
        """Count images, again if need be."""
        self._waiting.extend(name for name in names if name not in self._waiting)
        if self._waiting:
            self._timer.start()

    def stop(self) -> None:
        """Count no more."""
        self._timer.stop()
        self._waiting.clear()
        self._ticket += 1
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _next(self) -> None:
        project = self._project()
        if not self._waiting or project is None:
            return
        name = self._waiting.popleft()
        records = project.planes_of(name)
        try:
            planes = [project.plane(record.id) for record in records]
        except UserError:  # opening the image will say it
            planes = []
        # rows are replaced and never changed; the pixels are another matter
        states = [(plane.values.copy(), dict(plane.rows)) for plane in planes]
        if name != self._current():
            for record in records:
                project.release(record.id)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "doubt")
        ticket = self._ticket

        def tell(future: Future[int]) -> None:
            if not future.cancelled() and future.exception() is None:
                with contextlib.suppress(RuntimeError):  # Qt has deleted this meanwhile
                    self._ready.emit(ticket, name, future.result())

        self._pool.submit(_count, states).add_done_callback(tell)

    def _on_ready(self, ticket: int, name: str, count: int) -> None:
        if ticket != self._ticket:
            return
        if name != self._live:
            self._set(name, count)
        self._timer.start()

    def _set(self, name: str, count: int) -> None:
        if self._known.get(name, 0) != count:
            self._known[name] = count
            self.counted.emit(name)


def _count(states: list[State]) -> int:
    return sum(doubtful_count(values, rows) for values, rows in states)


def doubtful_count(values: NDArray[Any], rows: dict[int, Row]) -> int:
    """Return how many objects of a plane are doubtful and nobody's work yet.

    Parameters
    ----------
    values
        (H, W) label image.
    rows
        What is known of each object by its label value.
    """
    masks, ids = CropMasks.from_labels(values)
    if not len(ids):
        return 0
    known = {label: rows.get(label, {}) for label in ids.tolist()}
    table = features_of(known, values) | region_table(masks)
    table["contact"] = contact_shares(values, ids)
    x0, y0, x1, y1 = masks.boxes.T
    table["at_border"] = (x0 == 0) | (y0 == 0) | (x1 == values.shape[1]) | (y1 == values.shape[0])
    config = DoubtConfig()
    doubt = judge(table, Usual.of(table, config.fewest), config).doubt
    open_ = np.array([not is_corrected(row) for row in known.values()])
    return int(np.count_nonzero((doubt >= config.limit) & open_))
