"""Takes the time from an action to the frame that shows it, in a real window.

What ends a measurement is the signal ``frameSwapped`` of the canvas: the canvas was drawn and the
window with it was handed to the screen. Drawing again what has not changed is measured in the same
window, because with software OpenGL it takes longer than all that a tool does.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_QUIET_S = 0.15  # what tools put off, such as looking through the review queue, is over then
_LONGEST_S = 20.0


@dataclass(frozen=True)
class Taken:
    """One measurement.

    Attributes
    ----------
    canvas
        Milliseconds from the call to the frame on the screen.
    work
        Milliseconds in which the thread of the window was at work meanwhile: the time of one
        processor core, which other programs on the machine hardly change.
    frames
        How often the canvas was drawn until nothing was left to do.
    """

    canvas: float
    work: float
    frames: int


class CanvasClock:
    """Measures in the window of one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose window is on a screen, a virtual one too.
    """

    def __init__(self, viewer: Any) -> None:
        self._canvas = viewer.window._qt_viewer.canvas._scene_canvas
        self._swapped: tuple[float, float] | None = None
        self._frames = 0
        self._canvas.native.frameSwapped.connect(self._on_frame)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the canvas in pixels."""
        width, height = self._canvas.physical_size
        return int(width), int(height)

    def redraw(self) -> Taken:
        """Measure drawing what is there once more."""
        return self.take(self._canvas.update)

    def take(self, action: Callable[[], object]) -> Taken:
        """Measure an action that changes what the canvas shows."""
        settle()
        time.sleep(_QUIET_S)
        settle()
        self._swapped, self._frames = None, 0
        start, work = time.perf_counter(), time.thread_time()
        action()
        while self._swapped is None:
            settle()
            if time.perf_counter() - start > _LONGEST_S:
                raise RuntimeError("the canvas was not drawn: the action changed nothing on it")
        swapped = self._swapped
        settle()
        settle()
        return Taken((swapped[0] - start) * 1e3, (swapped[1] - work) * 1e3, self._frames)

    def _on_frame(self) -> None:
        self._frames += 1
        if self._swapped is None:
            self._swapped = (time.perf_counter(), time.thread_time())


def settle() -> None:
    """Let everything happen that the event loop has to do, drawing included."""
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    QApplication.processEvents()


def middle(taken: list[Taken]) -> Taken:
    """Return the medians."""
    return Taken(
        statistics.median(one.canvas for one in taken),
        statistics.median(one.work for one in taken),
        round(statistics.median(one.frames for one in taken)),
    )
