"""Asks before napari's window closes during a run.

napari has a list of running tasks of its own, but plugins cannot reach it officially, it came with
0.6.5, and only the window's close button looks at it, not the menu or Ctrl+W. A filter on the
window's close event sees every way to close, in every version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable


class Question(NamedTuple):
    """What is going on, and what closing now would mean for it."""

    text: str
    detail: str


SEGMENTING = Question(
    "A segmentation is running; stop it and close?", "What it has found so far is not kept."
)
TRAINING = Question(
    "A training is running; stop it and close?",
    "It can be continued from its last checkpoint: the tab Train offers it next time.",
)
TRAINING_UNSAVED = TRAINING._replace(detail="It has no checkpoint yet, so nothing of it is kept.")


def ask(window: QWidget, question: Question = SEGMENTING) -> bool:
    """Ask whether to close although a run would end; blocks until the user has answered."""
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Close napari?")
    box.setText(question.text)
    box.setInformativeText(question.detail)
    close = box.addButton("Stop and close", QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton("Keep running", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    box.exec()
    return box.clickedButton() is close


class CloseGuard(QObject):
    """Watches the window that a dock is in.

    Parameters
    ----------
    would_lose : callable
        What to ask because closing now would end a run that the user waits for, or None.
    parent : QObject
        Whose lifetime the guard shares.
    """

    def __init__(self, would_lose: Callable[[], Question | None], parent: QObject) -> None:
        super().__init__(parent)
        self._would_lose = would_lose
        self._window: QMainWindow | None = None

    def watch(self, widget: QWidget) -> None:
        """Watch the main window that `widget` is in, also when its dock floats; if there is one."""
        window = widget.parentWidget()
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is self._window or window is None:
            return
        self.stop()
        self._window = window
        window.installEventFilter(self)

    def stop(self) -> None:
        """Watch no more."""
        if self._window is not None:
            self._window.removeEventFilter(self)
        self._window = None

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Refuse to close when the user wants the run to go on."""
        if event is None or watched is not self._window or event.type() != QEvent.Type.Close:
            return False
        question = self._would_lose()
        if question is None or self._is_closed_by_script() or ask(self._window, question):
            return False
        event.ignore()
        return True

    def _is_closed_by_script(self) -> bool:
        """Whether the viewer is being taken down already: napari closes its canvas first then."""
        canvas = getattr(self._window, "_qt_viewer", None)
        return isinstance(canvas, QWidget) and canvas.isHidden()
