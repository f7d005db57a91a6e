"""Keeps a label layer's table in step with its pixels: a row per object, none without one.

The rows of objects that are gone are kept aside and come back with their pixels. A label never
changes its meaning, so whatever brings its pixels back also brings its row back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_sartorius.core.edits import BoxIndex
from napari_sartorius.core.edits.objects import mask_of
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.regions import region_table
from napari_sartorius.ui.correct.origins import DRAWN, Origin, Origins
from napari_sartorius.ui.correct.table_columns import (
    WANTED,
    as_column,
    completed,
    pixel_size,
    places_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sartorius.ui.correct.pixel_steps import Plane, PlaneChange

Row = dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """What is remembered of an object whose pixels are gone."""

    row: Row | None = None
    origin: Origin | None = None


class ObjectRows:
    """The table of one label layer.

    Parameters
    ----------
    layer : Labels
        Its features get what they lack of the columns ``index``, ``category``, ``source``,
        ``reviewed`` and of the measured ones.
    """

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        self.boxes: dict[Plane, BoxIndex] = {}
        self._retired: dict[int, Row] = {}
        self._order: dict[int, int] = {}
        self._origins = Origins()
        self._pixel_size: float | None = None
        self.default_category = ""
        self._is_new = True
        self.reload()

    def __len__(self) -> int:
        return len(self._layer.features)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Label of each row."""
        return self._layer.features["index"].to_numpy(dtype=np.int64)

    @property
    def highest(self) -> int:
        """The highest label that was ever used."""
        return max(self._order, default=0)

    def is_retired(self, label: int) -> bool:
        """Whether a row is kept aside for a label."""
        return label in self._retired

    def planes_of(self, label: int) -> list[Plane]:
        """Return the planes that an object has pixels in."""
        return [plane for plane, boxes in self.boxes.items() if label in boxes]

    def rows(self, labels: Iterable[int]) -> list[Row]:
        """Return what is known about objects that are in the table."""
        labels = list(labels)
        places = places_of(self.labels, labels)
        columns = {str(name): self._layer.features[name].array for name in self._layer.features}
        return [{name: one[places[label]] for name, one in columns.items()} for label in labels]

    def stage(self, label: int, row: Row) -> None:
        """Say which row an object gets as soon as its pixels appear."""
        self._order.setdefault(label, len(self._order))
        self._retired[label] = {**row, "index": label}

    def swap_kept(self, rows: Mapping[int, Kept]) -> dict[int, Kept]:
        """Exchange what is kept of labels without pixels; `Kept()` stands for nothing.

        A label that a brush brings back is another object, until that stroke is undone.
        """
        old = {}
        for label, kept in rows.items():
            old[label] = Kept(self._retired.pop(label, None), self._origins.take(label))
            if kept.row is not None:
                self._retired[label] = kept.row
            if kept.origin is not None:
                self._origins.put(label, kept.origin)
        return old

    def reload(self) -> None:
        """Search all pixels again and bring the table in step with them."""
        data = self._layer.data
        leading = data.shape[:-2]
        self.boxes = {plane: BoxIndex(data[plane]) for plane in np.ndindex(*leading)}
        self._is_new = True
        self.complete_columns()
        present = set().union(*self.boxes.values())
        known = set(self.labels.tolist())
        for label in [*self.labels.tolist(), *sorted(present - known)]:
            self._order.setdefault(label, len(self._order))
        areas = self._layer.features.get("area")
        stale = present - known
        if areas is None:
            stale = present
        else:
            for label, area in zip(self.labels.tolist(), areas.tolist(), strict=True):
                if label in present and area != self.area(label):
                    stale.add(label)
        if stale or known - present:
            self._apply(known - present, sorted(present - known), sorted(stale & known))

    def follow(self, changes: Sequence[PlaneChange]) -> tuple[set[int], set[int]]:
        """Take over what a step changed; return the labels that went and those that came."""
        self.complete_columns()
        touched = [
            [int(label) for label in np.union1d(one.before, one.after).tolist() if label]
            for one in changes
        ]
        every = set().union(*touched)
        were = {label for label in every if self.planes_of(label)}
        column = self._layer.features["source"].to_numpy()
        says = {label: str(column[at]) for label, at in places_of(self.labels, every).items()}
        for one, labels in zip(changes, touched, strict=True):
            image, boxes = self._layer.data[one.plane], self.boxes[one.plane]
            self._origins.note(
                one, labels, image, boxes, lambda i: says.get(i, DRAWN) if i in were else None
            )
        for one, labels in zip(changes, touched, strict=True):
            image, boxes = self._layer.data[one.plane], self.boxes[one.plane]
            boxes.update(image, one.y, one.x, one.before)
            for label in labels:
                self._origins.compare(label, one.plane, image, boxes)
        are = {label for label in every if self.planes_of(label)}
        self._apply(were - are, sorted(are - were), sorted(were & are))
        return were - are, are - were

    def set_values(self, labels: Iterable[int], column: str, values: Sequence[Any]) -> None:
        """Write one column of some objects, also of those whose rows are kept aside."""
        wanted = dict(zip(labels, values, strict=True))
        now = self._layer.features[column].to_numpy(copy=True)
        for label, position in places_of(self.labels, wanted).items():
            now[position] = wanted[label]
        for label in wanted.keys() & self._retired.keys():
            self._retired[label][column] = wanted[label]
        self._layer.features = self._layer.features.assign(**{column: now})

    def values(self, labels: Iterable[int], column: str) -> list[Any]:
        """Return one column of some objects that are in the table."""
        labels = list(labels)
        places = places_of(self.labels, labels)
        found = self._layer.features[column].array[[places[label] for label in labels]]
        return list(found.tolist())

    def area(self, label: int) -> int:
        """Return the number of pixels of an object over all planes."""
        return sum(boxes.area(label) for boxes in self.boxes.values())

    def complete_columns(self) -> None:
        """Add the columns that the table must have; another program may have replaced it."""
        features = self._layer.features
        if not self._is_new and set(features.columns) >= WANTED:
            return
        self._is_new = False
        columns = completed({str(n): features[n].to_numpy() for n in features}, len(features))
        self._pixel_size = pixel_size(columns, self._pixel_size)
        names = [str(v) for v in columns["category"] if isinstance(v, str) and v]
        self.default_category = max(set(names), key=names.count) if names else ""
        if set(columns) - set(map(str, features.columns)):
            self._layer.features = pd.DataFrame(columns)

    def ensure_column(self, name: str) -> None:
        """Add a column of numbers that nobody knows yet, where the table has no such column."""
        if name not in self._layer.features.columns:
            empty = np.full(len(self), np.nan, np.float32)
            self._layer.features = self._layer.features.assign(**{name: empty})

    def _apply(self, gone: set[int], new: list[int], changed: list[int]) -> None:
        """Write the table once: rows that go, rows that come, values measured again."""
        features = self._layer.features
        columns = {str(n): features[n].to_numpy() for n in features}
        if gone:
            leaving = np.isin(columns["index"].astype(np.int64), list(gone))
            for position in np.flatnonzero(leaving).tolist():
                row = {name: column[position] for name, column in columns.items()}
                self._retired[int(row["index"])] = row
            columns = {name: column[~leaving] for name, column in columns.items()}
        if new:
            rows = [self._retired.pop(label, None) or self.fresh_row(label) for label in new]
            for label in new:
                self._order.setdefault(label, len(self._order))
            columns = {
                name: np.concatenate([column, as_column([r.get(name) for r in rows], column)])
                for name, column in columns.items()
            }
            index = columns["index"].astype(np.int64).tolist()
            for label in [one for one in index if one not in self._order]:
                self._order[label] = len(self._order)  # another program's rows, too
            order = np.fromiter(map(self._order.__getitem__, index), np.int64, len(index))
            if np.any(order[1:] < order[:-1]):
                sorting = np.argsort(order, kind="stable")
                columns = {name: column[sorting] for name, column in columns.items()}
        self._measure(columns, [*new, *changed])
        self._layer.features = pd.DataFrame(columns)

    def _measure(self, columns: dict[str, NDArray[Any]], labels: list[int]) -> None:
        if not labels:
            return
        places = places_of(columns["index"].astype(np.int64), labels)
        best: dict[Plane, list[int]] = {}
        for label in labels:
            planes = self.planes_of(label)
            largest = max(planes, key=lambda plane: self.boxes[plane].area(label))
            best.setdefault(largest, []).append(label)
        for plane, ids in best.items():
            where = np.array([places[label] for label in ids])
            image = self._layer.data[plane]
            crops = [mask_of(image, self.boxes[plane], label) for label in ids]
            masks = CropMasks.from_bitmaps(
                [mask for mask, _ in crops],
                np.array([[x, y] for _, (y, x) in crops]),
                (image.shape[0], image.shape[1]),
            )
            table = region_table(masks, self._pixel_size)
            if len(self.boxes) > 1:
                table["area"] = np.array([self.area(label) for label in ids])
                if self._pixel_size is not None:
                    table["area_um2"] = table["area"] * self._pixel_size**2
                table |= {f"axis-{k}": np.full(len(ids), at) for k, at in enumerate(plane)}
            for name, values in table.items():
                if name not in columns:
                    columns[name] = np.full(len(columns["index"]), np.nan)
                    if values.dtype.kind in "iu" and len(ids) == len(columns["index"]):
                        columns[name] = np.zeros(len(ids), values.dtype)
                columns[name] = columns[name].copy()
                columns[name][where] = values
        columns["source"] = columns["source"].astype(object)
        for label in labels:
            place = places[label]
            columns["source"][place] = self._origins.source(label, columns["source"][place])

    def fresh_row(self, label: int) -> Row:
        """Return the row of an object that was made by hand."""
        return {
            "index": label,
            "category": self.default_category,
            "source": DRAWN,
            "reviewed": False,
        }
