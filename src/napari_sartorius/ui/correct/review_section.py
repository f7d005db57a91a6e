"""The Review section: one doubtful cell after the other, with the reasons why it is doubtful."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.ui.correct.steps import PlaceStep
from napari_sartorius.ui.correct.tools import BY_NAME, REVIEW, TOOLS, shown_key
from napari_sartorius.ui.forms import button, quiet
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_sartorius.ui.correct.review_queue import Doubtful, ReviewQueue
    from napari_sartorius.ui.correct.session import CorrectionSession

_BAR_HEIGHT = 4


@dataclass(frozen=True)
class Onward:
    """Where the review goes on when nothing is left here: in words, and the way there."""

    text: str
    go: Callable[[], None]


class ReviewSection(QWidget):
    """Walks through the queue of one layer.

    Scripts use the same methods as the buttons and keys: `next`, `previous`, `accept`, `reject`
    and `refresh`; what is shown is `current`.

    Parameters
    ----------
    keys : mapping of str to str
        Key by the name of a tool, where it is not the usual one.
    """

    select_asked = Signal(int)
    """Label of an object to select, outline and bring into the middle."""
    place_asked = Signal(object)
    """A `Doubtful` place to frame and bring into the middle."""
    said = Signal(str)
    """What happened, in one sentence."""
    refused = Signal(str)
    """Why something could not be done, in one sentence."""
    progressed = Signal()
    """Another number of objects is waiting."""

    def __init__(self, keys: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.queue: ReviewQueue | None = None
        self.onward: Callable[[], Onward | None] = lambda: None
        """Where to go on when nothing is left here; the dock sets it for projects."""
        self._session: CorrectionSession | None = None
        self._current = 0
        self._next_key = shown_key(keys.get("review_next", BY_NAME["review_next"].key))
        self.title = quiet("Review", "heading")  # wraps: a long one would widen the tab
        self.again = button("Judge again", "link", "review_again")
        self.again.clicked.connect(self.refresh)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(_BAR_HEIGHT)
        self.reason = quiet()
        self.buttons: dict[str, QPushButton] = {}
        row = QHBoxLayout()
        row.setSpacing(4)
        for tool in (one for one in TOOLS if one.group == REVIEW):
            key = shown_key(keys.get(tool.name, tool.key))
            push = QPushButton(f"{tool.title} ({key})" if key else tool.title)
            set_role(push, "tool")
            push.setToolTip(tool.hint)
            push.clicked.connect(lambda _=False, name=tool.name: self.run(name))
            row.addWidget(push, 1)
            self.buttons[tool.name] = push
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.again)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.bar)
        layout.addLayout(row)
        layout.addWidget(self.reason)
        self._show()

    @property
    def current(self) -> Doubtful | None:
        """What is being looked at: a doubtful object, or a place without a label."""
        return self.queue.entry(self._current) if self.queue is not None else None

    def set_queue(self, queue: ReviewQueue | None, session: CorrectionSession | None) -> None:
        """Walk through another queue from now on."""
        if self._session is not None:
            self._session.stepped.disconnect(self._on_stepped)
        if session is not None:
            session.stepped.connect(self._on_stepped)
        if self.queue is not None:
            self.queue.stop()
            self.queue.deleteLater()
        self.queue, self._session, self._current = queue, session, 0
        if queue is not None:
            queue.changed.connect(self._on_changed)
        self._on_changed()

    def run(self, name: str) -> None:
        """Do what a button or a key of this section does."""
        actions = {
            "review_back": self.previous,
            "review_next": self.next,
            "review_accept": self.accept,
            "review_reject": self.reject,
        }
        actions[name]()

    def next(self) -> None:
        """Go to the next doubtful object; when none is left here, to the next image."""
        if self.queue is None:
            return
        key = self.queue.beside(self._current, 1)
        if key:
            self._go_to(key)
        elif self._current in self.queue.waiting:
            self._say_end("This is the only doubtful cell left.")
        elif (onward := self.onward()) is not None:
            onward.go()
        else:
            self._say_end("")

    def previous(self) -> None:
        """Go to the doubtful object before, also when it was accepted already."""
        if self.queue is None:
            return
        key = self.queue.beside(self._current, -1)
        if key:
            self._go_to(key)
        else:
            self.said.emit("This is the first doubtful cell.")

    def accept(self) -> None:
        """Mark the present object as right, one undo step, and go to the next.

        At a place without a label this says that there is no cell, one undo step as well.
        """
        self._decide("review_accept")

    def reject(self) -> None:
        """Delete the present object, one undo step, and go to the next.

        At a place without a label this says that there is no cell.
        """
        self._decide("review_reject")

    def refresh(self) -> None:
        """Judge everything again, by what is usual now."""
        if self.queue is not None:
            self.queue.refresh()
            self.said.emit(f"{self.title.text()}.")

    def follow(self, labels: Sequence[int]) -> None:
        """Take up what is selected: one cell is the present one, and its reasons are shown."""
        if len(labels) == 1:
            self._current = labels[0]
        elif self._current > 0:
            self._current = 0
        self._show_reason()

    def _decide(self, name: str) -> None:
        queue, session, key = self.queue, self._session, self._current
        if queue is None or session is None:
            return
        queue.update()
        if queue.entry(key) is None:
            self.next()  # nothing was being looked at: show the first one before deciding
            return
        following = queue.beside(key, 1)
        try:
            if key < 0:
                queue.dismiss(key)
            elif name == "review_accept":
                session.accept([key])
            else:
                session.delete([key])
        except UserError as error:
            self.refused.emit(str(error))
            return
        queue.update()
        if following in queue.waiting:
            self._go_to(following)
        else:
            self._say_end("")

    def _go_to(self, key: int) -> None:
        entry = self.queue.entry(key) if self.queue is not None else None
        if entry is None:
            return
        self._current = key
        if entry.is_place:
            self.place_asked.emit(entry)
        else:
            self.select_asked.emit(key)
        self._current = key  # selecting nothing at a place has forgotten it
        self._show_reason()

    def _say_end(self, text: str) -> None:
        queue = self.queue
        if not text and queue is not None:
            total = queue.total
            text = "No cell of this image is doubtful."
            if total:
                what = agree(
                    total, "The one doubtful cell has", f"All {total:,} doubtful cells have"
                )
                text = f"{what} been looked at."
        onward = self.onward()
        if onward is not None and queue is not None and not queue.waiting:
            text = f"{text} {self._next_key or 'Next'} goes on to {onward.text}."
        self.said.emit(text)

    def _on_stepped(self, step: Any, how: str) -> None:
        """Go back to a place that waits again, because an undo took the answer back."""
        if isinstance(step, PlaceStep) and self.queue is not None:
            self.queue.update()
            if how == "undo":
                self._go_to(self.queue.place_at(step.plane, step.box))

    def _on_changed(self) -> None:
        self._show()
        self.progressed.emit()

    def _show(self) -> None:
        queue = self.queue
        total, done = (queue.total, queue.done) if queue is not None else (0, 0)
        title = "Review"
        if queue is not None:
            title = (
                f"{done:,} of {plural(total, 'doubtful cell')} looked at"
                if total
                else "Nothing doubtful"
            )
        self.title.setText(title)
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        for push in self.buttons.values():
            push.setEnabled(queue is not None)
        self.again.setEnabled(queue is not None)
        self._show_reason()

    def _show_reason(self) -> None:
        # never quite empty: with its line coming and going, the table above would jump, and the
        # whole tab would be drawn anew with every cell that is selected
        self.reason.setText(self._reason() or " ")

    def _reason(self) -> str:
        entry = self.current
        if entry is None:
            waiting = self.queue is not None and bool(self.queue.waiting)
            return "Press Next to see the most doubtful one." if waiting else ""
        if entry.is_place:
            return f"{entry.reasons[0]}: draw it, or reject it if it is none."
        if entry.reasons:
            return f"Cell {entry.key}: {'; '.join(entry.reasons)}."
        return f"Cell {entry.key}: nothing odd about it."
