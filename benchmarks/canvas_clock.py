"""Takes the time from an action to the frame that shows it, in a real window.

A measurement has two ends. The canvas is painted when its drawing is complete, which ``glFinish``
waits for. The window is on the screen with the signal ``frameSwapped``: Qt has put canvas and
controls together and handed over the whole window, which the processor does where OpenGL is
software. Drawing again what has not changed is measured in the same window for comparison.
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
    painted
        Milliseconds from the call to the repainted canvas.
    canvas
        Milliseconds from the call to the window on the screen.
    work
        Milliseconds in which the thread of the window was at work meanwhile: the time of one
        processor core, which other programs on the machine hardly change.
    frames
        How often the canvas was drawn until nothing was left to do.
    """

    painted: float
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
        self._painted = 0.0
        self._swapped: tuple[float, float] | None = None
        self._frames = 0
        self._canvas.events.draw.connect(self._on_painted, position="last")
        self._canvas.native.frameSwapped.connect(self._on_frame)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the canvas in pixels."""
        width, height = self._canvas.physical_size
        return int(width), int(height)

    def redraw(self) -> Taken:
        """Measure drawing what is there once more."""
        return self.take(self.update)

    def update(self) -> None:
        """Ask for drawing what is there once more."""
        self._canvas.update()

    def frames_per_second(self, actions: list[Callable[[], object]]) -> float:
        """One action after the other, each when the window with the last one is on the screen."""
        settle()
        start = time.perf_counter()
        for action in actions:
            self._swapped = None
            action()
            while self._swapped is None:
                settle()
        return len(actions) / (time.perf_counter() - start)

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
        return Taken(
            (self._painted - start) * 1e3,
            (swapped[0] - start) * 1e3,
            (swapped[1] - work) * 1e3,
            self._frames,
        )

    def _on_painted(self, event: object = None) -> None:
        """Wait for the canvas's own drawing; only the first frame of a measurement counts."""
        from vispy.gloo import gl

        self._canvas.context.flush_commands()
        gl.glFinish()
        if self._swapped is None:
            self._painted = time.perf_counter()

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
        statistics.median(one.painted for one in taken),
        statistics.median(one.canvas for one in taken),
        statistics.median(one.work for one in taken),
        round(statistics.median(one.frames for one in taken)),
    )
