"""Which objects of a layer are doubtful and not looked at yet, kept up to date with every edit.

What is usual is found out once, when the queue is made or refreshed. After that only what an edit
touched is judged again, so the order stays while the user works through it, and an undo brings an
object back to its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.edits import Box
from napari_sartorius.postprocess.doubt import DoubtConfig, judge
from napari_sartorius.postprocess.missed import same_place
from napari_sartorius.postprocess.usual import Usual
from napari_sartorius.ui.correct.origins import MODEL
from napari_sartorius.ui.correct.pixel_steps import Plane
from napari_sartorius.ui.correct.place_search import PlaceSearch
from napari_sartorius.ui.correct.review_facts import ReviewFacts
from napari_sartorius.ui.single_shot import single_shot

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sartorius.postprocess.doubt import Doubts
    from napari_sartorius.ui.correct.session import CorrectionSession

_PAUSE_MS = 120  # after the last change, before the queue is looked at again
_PLACE = "No label here, but it looks like a cell"
_SEEN = "No label here, but the new model sees a cell"


FoundPlaces = list[tuple[Plane, Box, float]]
"""Plane, box and how much it looks like a cell (0..1) of places without a label."""


@dataclass(frozen=True)
class Doubtful:
    """One entry of the queue.

    Attributes
    ----------
    key
        The label of an object, or a number below 0 for a place without a label.
    doubt
        0..1 when it was first judged.
    reasons
        What speaks against it, the weightiest first, in words.
    plane, box
        Where it is: position along the axes in front of (Y, X); first row, first column, last
        row + 1, last column + 1.
    """

    key: int
    doubt: float
    reasons: tuple[str, ...]
    plane: Plane
    box: Box

    @property
    def is_place(self) -> bool:
        """Whether it is a place without a label."""
        return self.key < 0


class ReviewQueue(QObject):
    """The doubtful objects of one layer.

    Accepted objects, and those that a person drew or changed, count as looked at.

    Parameters
    ----------
    session : CorrectionSession
        Whose objects are judged.
    image_of : callable
        Returns the pixels below a plane, (H, W) or (H, W, colours), or None.
    config : DoubtConfig, optional
        Limits and weights.
    elsewhere : callable, optional
        Returns what is usual in other images, for categories with few objects in this one.
    """

    changed = Signal()
    """Other objects are in the queue than before."""

    def __init__(
        self,
        session: CorrectionSession,
        image_of: Callable[[Plane], NDArray[Any] | None],
        config: DoubtConfig | None = None,
        elsewhere: Callable[[], Usual | None] = lambda: None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._elsewhere = elsewhere
        self._config = config or DoubtConfig()
        self._facts = ReviewFacts(session)
        self._search = PlaceSearch(session, image_of, self)
        self._search.found.connect(self._on_places)
        self.needs_elsewhere = False
        """Whether some category has too few objects here, and nothing is known of other images."""
        self._first: dict[int, float] = {}  # doubt at first sight, of all that ever were doubtful
        self._waiting: list[int] = []
        self._places: dict[int, Doubtful] = {}
        self._searched: FoundPlaces = []
        self._told: FoundPlaces = []
        self._pause = single_shot(self, _PAUSE_MS, self.update)
        session.stepped.connect(self._on_stepped)
        session.layer.events.features.connect(self._on_features)
        self.refresh()

    def stop(self) -> None:
        """Follow the layer no more."""
        self._pause.stop()
        self._search.stop()
        self._session.stepped.disconnect(self._on_stepped)
        self._session.layer.events.features.disconnect(self._on_features)

    @property
    def waiting(self) -> list[int]:
        """Keys of what nobody has looked at, the most doubtful first."""
        return list(self._waiting)

    @property
    def total(self) -> int:
        """How many were doubtful when the queue was made, or became so since."""
        return len(self._first) + len(self._places)

    @property
    def done(self) -> int:
        """How many of these have been looked at."""
        return self.total - len(self._waiting)

    def refresh(self) -> None:
        """Judge everything anew, by what is usual now, and look for places without a label."""
        self._pause.stop()
        self._facts.measure()
        own = Usual.of(self._facts.table, self._config.fewest)
        elsewhere = self._elsewhere()
        self.needs_elsewhere = own.lacks(self._facts.table) and elsewhere is None
        self._usual = own.filled(elsewhere)
        self._first, self._places = {}, {}
        self._seen = set(self._facts.labels.tolist())
        self._judge(afresh=True)
        self._searched = []
        if self._told:
            self._show_places()
        self._search.start()

    def ask_about(self, places: FoundPlaces) -> None:
        """Judge everything anew, and ask about places where a model sees a cell without a label.

        Parameters
        ----------
        places : list of (plane, box, score)
            They go before those that only look like cells.
        """
        self._told = list(places)
        self.refresh()

    def update(self) -> None:
        """Follow what was changed since the last look, if anything was."""
        if not self._pause.isActive() and not self._facts.is_stale:
            return
        self._pause.stop()
        self._facts.update()
        labels = set(self._facts.labels.tolist())
        new = labels - self._seen
        self._seen |= labels
        if any(one == MODEL for one in self._facts.sources(new)):
            self.refresh()  # a model was at work: other objects, and other things are usual
            return
        self._judge()

    def entry(self, key: int) -> Doubtful | None:
        """Return what is known of an object or a place, None when it is gone."""
        if key in self._places:
            return self._places[key]
        where = self._facts.where(key)
        row = self._facts.row(key)
        if where is None or row is None:
            return None
        doubt = self._first.get(key, float(self._doubts.doubt[row]))
        return Doubtful(key, doubt, tuple(self._doubts.reasons(row)), *where)

    def is_doubtful(self, key: int) -> bool:
        """Whether something is or was in the queue."""
        return key in self._first or key in self._places

    def beside(self, key: int, by: int) -> int:
        """Return the next (1) that waits or the previous (-1) that still exists; 0 for none.

        After the last one the first one that waits comes, before the first one nothing.
        """
        self.update()
        here = self._order(key) if self.is_doubtful(key) else (-np.inf, 0)
        if by > 0:
            later = [one for one in self._waiting if self._order(one) > here]
            earlier = [one for one in self._waiting if one != key]
            return next(iter(later or earlier), 0)
        there = [one for one in self._first if self._facts.row(one) is not None]
        before = (one for one in (*there, *self._places) if self._order(one) < here)
        return max(before, key=self._order, default=0)

    def dismiss(self, key: int) -> None:
        """Say that there is no cell at a place."""
        place = self._places[key]
        self._session.say_no_cell(place.plane, place.box)
        self._judge()

    def place_at(self, plane: Plane, box: Box) -> int:
        """Return the key of the place that waits there, 0 for none."""
        waiting = (key for key in self._waiting if key in self._places)
        found = (key for key in waiting if self._places[key].plane == plane)
        return next((key for key in found if same_place(self._places[key].box, box)), 0)

    def _order(self, key: int) -> tuple[float, int]:
        place = self._places.get(key)
        return -(place.doubt if place is not None else self._first[key]), key

    def _judge(self, afresh: bool = False) -> None:
        facts = self._facts
        self._doubts: Doubts = judge(facts.table, self._usual, self._config)
        doubtful = self._doubts.doubt >= self._config.limit
        # what an edit made is a person's work: it adds nothing to do
        for row in np.flatnonzero(doubtful & (~facts.handled | afresh)).tolist():
            key = int(facts.labels[row])
            self._first.setdefault(key, float(self._doubts.doubt[row]))
        waiting = facts.labels[doubtful & ~facts.handled].tolist()
        waiting += [key for key in self._places if self._is_open(key)]
        self._waiting = sorted(waiting, key=self._order)
        self.changed.emit()

    def _is_open(self, key: int) -> bool:
        """Whether nobody said that there is no cell at a place, and it has no label now."""
        one = self._places[key]
        empty = (box for plane, box in self._session.no_cells if plane == one.plane)
        if any(same_place(one.box, box) for box in empty):
            return False
        y0, x0, y1, x1 = one.box
        window = self._session.layer.data[one.plane][y0:y1, x0:x1]
        middle = window[window.shape[0] // 2, window.shape[1] // 2]
        return bool(middle == 0 and np.count_nonzero(window) < window.size / 2)

    def _on_places(self, found: FoundPlaces) -> None:
        self._searched = found
        self._show_places()

    def _show_places(self) -> None:
        """Take up places; the weight of looking like a cell is that of the weakest hints."""
        limit = self._config.limit
        self._places = {}
        for reason, weight, found in ((_SEEN, 1.0, self._told), (_PLACE, 0.5, self._searched)):
            for plane, box, likeness in found:
                if self._facts.was_object(plane, box) or self._is_known(plane, box):
                    continue
                key = -1 - len(self._places)
                doubt = limit + (1 - limit) * likeness * weight
                self._places[key] = Doubtful(key, doubt, (reason,), plane, box)
        self.update()
        self._judge()

    def _is_known(self, plane: Plane, box: Box) -> bool:
        known = (one for one in self._places.values() if one.plane == plane)
        return any(same_place(one.box, box) for one in known)

    def _on_stepped(self, step: Any, how: str) -> None:
        self._facts.note(step)
        self._pause.start()

    def _on_features(self, event: object = None) -> None:
        self._facts.is_stale = True
        self._pause.start()
