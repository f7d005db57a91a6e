"""Brings what happens to a labels layer into the project, whoever did it.

Strokes, tools, undo and redo all end in the same place, the layer's pixels and its table. So the
recorder does not listen to tools: a moment after anything happened it compares the layer with what
the project holds and records the difference.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.layer_table import NO_CELL_KEY
from napari_sartorius.io.project import edit_between
from napari_sartorius.io.project.layers import rows_of
from napari_sartorius.ui.single_shot import single_shot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sartorius.io.coco_dataset import CocoImage
    from napari_sartorius.io.project import AnnotatedPlane, LabelEdit, Project, Row

Columns: TypeAlias = "dict[str, NDArray[Any]]"

logger = logging.getLogger(__name__)

_DELAY_MS = 0
"""A tool changes pixels, then the table; both have when Qt comes to its timers, after drawing."""


class LayerRecorder(QObject):
    """Records the edits of one labels layer.

    Parameters
    ----------
    layer : Labels
        Shows all planes of an image file.
    project : Project
        Where edits go.
    images : list of CocoImage
        Records of the planes, in the layer's order.
    """

    recorded = Signal()
    """Something was recorded."""
    failed = Signal(str)
    """One sentence; the edit is on the screen but not on the disk. It is tried again."""

    def __init__(
        self,
        layer: Labels,
        project: Project,
        images: list[CocoImage],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.layer = layer
        self._project = project
        self._images = images
        self._recorded: Columns | None = None  # the table as it was when last recorded
        self._timer = single_shot(self, _DELAY_MS, self.flush)
        self._events = [
            getattr(layer.events, name) for name in ("paint", "set_data", "data", "features")
        ]
        for event in self._events:
            event.connect(self._on_event)

    def flush(self) -> bool:
        """Record now what is not recorded yet; returns False when that failed."""
        self._timer.stop()
        try:
            changed = self._record()
        except UserError as error:
            self.failed.emit(str(error))
            return False
        if changed:
            self.recorded.emit()
        return True

    def stop(self) -> bool:
        """Record what is left and stop following the layer; as `flush`."""
        done = self.flush()
        for event in self._events:
            event.disconnect(self._on_event)
        return done

    def _on_event(self, event: Any = None) -> None:
        self._timer.start()

    def _record(self) -> bool:
        data = np.asarray(self.layer.data)
        planes = data.reshape(-1, *data.shape[-2:])
        if len(planes) != len(self._images):
            raise UserError(
                f"the layer {self.layer.name} has another shape than its image in the project, so "
                "its edits cannot be recorded; open the image again"
            )
        table = columns_of(self.layer.features)
        # in a stack the same row belongs to every plane that its object reaches
        fresh = None if len(planes) > 1 else changed_rows(table, self._recorded)
        rows = rows_of(table if fresh is None else {k: v[fresh] for k, v in table.items()})
        done = False
        for n, (plane, image) in enumerate(zip(planes, self._images, strict=True)):
            state = self._project.plane(image.id)
            changed = _changed_rows(rows, state.rows, plane if len(planes) > 1 else None)
            done |= self._record_places(image, np.unravel_index(n, data.shape[:-2]))
            if not changed and np.array_equal(state.values, plane):
                continue
            edit = edit_between(image.id, state.values, plane, changed)
            if edit is not None:
                self._project.record(self._signed(edit, state))
                done = True
        self._recorded = table
        return done

    def _record_places(self, image: CocoImage, plane: Sequence[np.integer]) -> bool:
        """Record where somebody said that there is no cell in a plane of the layer."""
        every = self.layer.metadata.get(NO_CELL_KEY, [])
        here = [tuple(one[-4:]) for one in every if list(one[:-4]) == [int(at) for at in plane]]
        image = self._project.image(image.id)
        if here == self._project.no_cells(image):
            return False
        self._project.set_no_cells(image.id, here)
        return True

    def _signed(self, edit: LabelEdit, state: AnnotatedPlane) -> LabelEdit:
        """The edit, with the objects whose pixels it changes marked as a person's work."""
        top, left, bottom, right = edit.box
        before = state.values[top:bottom, left:right]
        changed = before != edit.values
        touched = {*np.unique(before[changed]).tolist(), *np.unique(edit.values[changed]).tolist()}
        rows = dict(edit.rows)
        for label in touched - {0}:
            row = rows.get(label) or state.rows.get(label)
            if row is None:
                drawn = {"category": self._usual(state), "score": 1.0}
                rows[label] = drawn | {"source": "drawn", "reviewed": False}
            elif row.get("source") == "model":
                rows[label] = dict(row) | {"source": "edited"}
        return replace(edit, rows=rows)

    def _usual(self, state: AnnotatedPlane) -> str:
        """Category of most objects of a plane, for one that was painted without saying."""
        counts = Counter(str(r["category"]) for r in state.rows.values() if r.get("category"))
        names = [category.name for category in self._project.categories]
        return counts.most_common(1)[0][0] if counts else names[0]


def columns_of(features: Mapping[str, Any]) -> Columns:
    """Return the columns (N,) of a table by name."""
    return {str(name): np.asarray(features[name]) for name in features}


def changed_rows(table: Columns, before: Columns | None) -> NDArray[np.bool_] | None:
    """Return which rows (N,) of a table are new or others than before; None when all may be.

    Rows are told apart by the column ``index``. Comparing whole columns takes a millisecond for
    thousands of rows, where making a mapping of each takes a tenth of a second.
    """
    if before is None or "index" not in table or table.keys() != before.keys():
        return None
    now, then = table["index"], before["index"]
    if len(np.unique(now)) < len(now) or len(np.unique(then)) < len(then):
        return None
    _, at_now, at_then = np.intersect1d(now, then, assume_unique=True, return_indices=True)
    differs = np.zeros(len(at_now), np.bool_)
    for name, column in table.items():
        new, old = column[at_now], before[name][at_then]
        differs |= np.asarray((new != old) & ~((new != new) & (old != old)), np.bool_)
    fresh = np.ones(len(now), np.bool_)
    fresh[at_now] = differs
    return fresh


def _changed_rows(
    rows: dict[int, Row], known: dict[int, Row], plane: np.ndarray | None
) -> dict[int, Row | None]:
    """Rows that are new or others than known; of a stack only those of the plane's objects.

    Rows that vanish from the table are kept: their object is gone from the pixels, or will come
    back with an undo.
    """
    here = set(np.unique(plane).tolist()) if plane is not None else None
    return {
        label: row
        for label, row in rows.items()
        if (here is None or label in here) and not _same(row, known.get(label))
    }


def _same(row: Row, known: Row | None) -> bool:
    if known is None:
        return False
    if row.get("source") == "model" and known.get("source") == "edited":
        row = row | {"source": "edited"}  # the table does not know what the brush did
    keys = row.keys() | known.keys()
    return all(row.get(key) == known.get(key) for key in keys)
