"""How many doubtful cells each image of a project has, counted while nobody is waiting.

Images are measured one after the other. Each is judged by what is usual in it; those with few cells
of a category are judged again, by what is usual in the whole project, when all have been measured.
"""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.postprocess.usual import Usual
from napari_sartorius.ui.project.measured_image import MeasuredImage, PlaneState, measure_image
from napari_sartorius.ui.single_shot import single_shot

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from napari_sartorius.io.project import Project

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
    compared = Signal()
    """What is usual in the whole project is known now, or something else than before."""

    _ready = Signal(int, str, object)

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
        self._measured: dict[str, MeasuredImage] = {}
        self._usual: Usual | None = None
        self._waiting: deque[str] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._ticket = 0
        self._live: str | None = None
        self._timer = single_shot(self, _PAUSE_MS, self._next)
        self._ready.connect(self._on_ready)

    @property
    def usual(self) -> Usual | None:
        """What is usual in all images of the project; None until they have been measured."""
        return self._usual

    def of(self, name: str) -> int:
        """Return the number of doubtful cells of an image file that nobody has looked at.

        Places that look like cells and have no label are counted, too.
        """
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
        self.stop(wait=False)
        self._known, self._measured, self._usual = {}, {}, None
        self.count(names)

    def count(self, names: list[str]) -> None:
        """Count images, again if need be."""
        self._waiting.extend(name for name in names if name not in self._waiting)
        if self._waiting:
            self._timer.start()

    def stop(self, wait: bool = True) -> None:
        """Count no more; with `wait`, no file is being read any more when this returns."""
        self._timer.stop()
        self._waiting.clear()
        self._ticket += 1
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=True)
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
        states = [
            PlaneState(
                plane.values.copy(),
                dict(plane.rows),
                project.image_path(record),
                tuple(record.extra.get("plane", ())),
                project.no_cells(record),
            )
            for plane, record in zip(planes, records, strict=True)
        ]
        if name != self._current():
            for record in records:
                project.release(record.id)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "doubt")
        ticket = self._ticket

        def tell(future: Future[MeasuredImage]) -> None:
            if not future.cancelled() and future.exception() is None:
                with contextlib.suppress(RuntimeError):  # Qt has deleted this meanwhile
                    self._ready.emit(ticket, name, future.result())

        self._pool.submit(measure_image, states).add_done_callback(tell)

    def _on_ready(self, ticket: int, name: str, measured: MeasuredImage) -> None:
        if ticket != self._ticket:
            return
        self._measured[name] = measured
        if name != self._live:
            self._set(name, measured.count(self._usual))
        if self._waiting:
            self._timer.start()
        else:
            self._compare()

    def _compare(self) -> None:
        """Judge images with few cells by what is usual in all."""
        tables = (table for one in self._measured.values() for table in one.tables)
        self._usual = Usual.of_many(tables)
        for name, one in self._measured.items():
            if name != self._live and one.has_few:
                self._set(name, one.count(self._usual))
        self.compared.emit()

    def _set(self, name: str, count: int) -> None:
        if self._known.get(name, 0) != count:
            self._known[name] = count
            self.counted.emit(name)
