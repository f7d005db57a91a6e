"""All that objects are judged by, for one layer: its table, contacts, what touches the border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.edits.objects import mask_of
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.regions import region_table
from napari_sartorius.postprocess.doubt import contact_shares
from napari_sartorius.ui.correct.origins import MODEL
from napari_sartorius.ui.correct.pixel_steps import PixelStep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sartorius.core.edits import Box
    from napari_sartorius.ui.correct.pixel_steps import Plane, PlaneChange
    from napari_sartorius.ui.correct.session import CorrectionSession

_SHAPE = ("area", "solidity", "major_axis", "minor_axis")
_MOST_TOUCHED = 300  # objects; beyond that one pass over the whole image is faster
_WIDEST = 1 << 20  # pixels of a change in which neighbours are looked for


class ReviewFacts:
    """Facts about the objects of a layer, brought up to date by what changed.

    Parameters
    ----------
    session : CorrectionSession
        Whose table and boxes are read.

    Attributes
    ----------
    table
        Columns for `judge`.
    labels
        (N,) label of each row.
    handled
        (N,) bool, whether a person accepted, drew or changed the object.
    is_stale
        Whether the layer has another table than this was made of.
    """

    def __init__(self, session: CorrectionSession) -> None:
        self._session = session
        self._touched: set[int] | None = set()
        self._contact: dict[int, float] = {}
        self._shape: dict[int, tuple[float, ...]] = {}
        self._where: dict[int, tuple[Plane, Box]] = {}
        self._at_border: dict[int, bool] = {}
        self._rows: dict[int, int] = {}
        self.table: dict[str, NDArray[Any]] = {}
        self.labels: NDArray[np.int64] = np.zeros(0, np.int64)
        self.handled: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.is_stale = True

    def measure(self) -> None:
        """Look at the whole layer."""
        self._touched = None
        self.update()

    def note(self, step: Any) -> None:
        """Remember which objects a step changed, and those beside them."""
        if not isinstance(step, PixelStep):
            return
        for one in step.changes:
            near = self._near(one) if self._touched is not None else None
            if near is None or len(self._touched or ()) + len(near) > _MOST_TOUCHED:
                self._touched = None
                return
            assert self._touched is not None
            self._touched |= near

    def update(self) -> None:
        """Bring everything in step with the layer."""
        session = self._session
        session.rows.complete_columns()
        features = session.layer.features
        labels = session.rows.labels
        touched = self._touched
        if touched is None or self._has_others(labels, features):
            touched = set(labels.tolist())
            self._measure_contacts(labels)
            self._shape = {}
        else:
            for label in touched:
                self._contact[label] = self._contact_of(label)
                self._shape.pop(label, None)
        self._touched = set()
        self.labels = labels
        self._rows = {label: row for row, label in enumerate(labels.tolist())}
        moved = touched | (self._rows.keys() - self._where.keys())
        found = {label: where for label in moved if (where := self._find(label))}
        self._where |= found
        height, width = session.layer.data.shape[-2:]
        for label, (_, (y0, x0, y1, x1)) in found.items():
            self._at_border[label] = y0 == 0 or x0 == 0 or y1 == height or x1 == width
        columns = {str(name): features[name].to_numpy() for name in features}
        self.table = columns | self._shapes(columns) | self._places_of(labels)
        reviewed = np.asarray(columns["reviewed"]).astype(bool)
        self.handled = reviewed | (columns["source"].astype(str) != MODEL)
        self.is_stale = False

    def row(self, label: int) -> int | None:
        """Return the row of an object, None when it has none."""
        return self._rows.get(label)

    def where(self, label: int) -> tuple[Plane, Box] | None:
        """Return where an object is: the plane in which it is largest, and its box there."""
        return self._find(label) if label in self._rows else None

    def sources(self, labels: Iterable[int]) -> list[str]:
        """Return the column ``source`` of objects."""
        return [str(self.table["source"][self._rows[label]]) for label in labels]

    def was_object(self, plane: Plane, box: Box) -> bool:
        """Whether an object that is gone now had its middle in a box."""
        y0, x0, y1, x1 = box
        for label, (there, old) in self._where.items():
            y, x = (old[0] + old[2]) / 2, (old[1] + old[3]) / 2
            if label not in self._rows and there == plane and y0 <= y < y1 and x0 <= x < x1:
                return True
        return False

    def _near(self, change: PlaneChange) -> set[int] | None:
        """Labels in a change and around it; None when that is too large to look at."""
        y0, x0 = max(int(change.y.min()) - 1, 0), max(int(change.x.min()) - 1, 0)
        y1, x1 = int(change.y.max()) + 2, int(change.x.max()) + 2
        if (y1 - y0) * (x1 - x0) > _WIDEST:
            return None
        window = self._session.layer.data[change.plane][y0:y1, x0:x1]
        found = (np.unique(one).tolist() for one in (window, change.before, change.after))
        return {int(label) for labels in found for label in labels} - {0}

    def _has_others(self, labels: NDArray[np.int64], features: Any) -> bool:
        """Whether objects were changed that no step told of."""
        if not self.table or "area" not in features:
            return False
        before, after = np.argsort(self.labels), np.argsort(labels)
        old, new = self.labels[before], labels[after]
        differ = set(np.setxor1d(old, new, assume_unique=True).tolist())
        areas = np.asarray(self.table["area"])[before][np.isin(old, new, assume_unique=True)]
        kept = np.isin(new, old, assume_unique=True)
        now = features["area"].to_numpy()[after][kept]
        if len(areas) != len(now):  # a foreign table that has a label twice
            return True
        differ |= set(new[kept][areas != now].tolist())
        return bool(differ - (self._touched or set()))

    def _find(self, label: int) -> tuple[Plane, Box] | None:
        rows = self._session.rows
        planes = rows.planes_of(label)
        if not planes:
            return None
        plane = max(planes, key=lambda one: rows.boxes[one].area(label))
        return plane, rows.boxes[plane][label]

    def _measure_contacts(self, labels: NDArray[np.int64]) -> None:
        ids = np.unique(labels[labels > 0])
        shares = contact_shares(self._session.layer.data, ids)
        self._contact = dict(zip(ids.tolist(), shares.tolist(), strict=True))

    def _contact_of(self, label: int) -> float:
        where = self._find(label)
        if where is None:
            return 0.0
        plane, (y0, x0, y1, x1) = where
        image = self._session.layer.data[plane]
        window = image[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1]
        return float(contact_shares(window, np.array([label]))[0])

    def _shapes(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Columns of shape, measured where the layer's table lacks them."""
        count = len(self.labels)
        shapes = {
            name: np.asarray(columns.get(name, np.full(count, np.nan)), np.float64).copy()
            for name in _SHAPE
        }
        lacking = np.zeros(count, np.bool_)
        for values in shapes.values():
            lacking |= ~np.isfinite(values)
        rows = np.flatnonzero(lacking).tolist()
        self._measure([int(self.labels[row]) for row in rows])
        for row in rows:
            for name, value in zip(
                _SHAPE, self._shape.get(int(self.labels[row]), ()), strict=False
            ):
                shapes[name][row] = value
        return shapes

    def _measure(self, labels: list[int]) -> None:
        by_plane: dict[Plane, list[int]] = {}
        for label in labels:
            if label not in self._shape and (where := self._find(label)) is not None:
                by_plane.setdefault(where[0], []).append(label)
        for plane, some in by_plane.items():
            image, boxes = self._session.layer.data[plane], self._session.rows.boxes[plane]
            crops = [mask_of(image, boxes, label) for label in some]
            masks = CropMasks.from_bitmaps(
                [mask for mask, _ in crops], np.array([[x, y] for _, (y, x) in crops]), image.shape
            )
            table = region_table(masks)
            values = zip(*(table[name].tolist() for name in _SHAPE), strict=True)
            self._shape |= dict(zip(some, values, strict=True))

    def _places_of(self, labels: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Columns of what depends on where objects lie."""
        count, known = len(labels), labels.tolist()
        border = (self._at_border.get(label, False) for label in known)
        contact = (self._contact.get(label, 0.0) for label in known)
        return {
            "at_border": np.fromiter(border, np.bool_, count),
            "contact": np.fromiter(contact, np.float64, count),
        }
