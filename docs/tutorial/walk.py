"""The steps of the tutorial in one window, with the keys and clicks that a user would give.

`session.py` walks through them in real windows and measures; the tests walk through them quickly.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from window_hand import Canvas

PLUGIN = "napari-sartorius"
PATIENCE = 60.0
NO_CELL, TOO_WIDE = 0.1, 0.6
"""IoU with the truth below which a label is no cell, and below which its outline is put right."""

_NEXT = "Next doubtful cell (N)"
_CONTROL = Qt.KeyboardModifier.ControlModifier
_SHIFT = Qt.KeyboardModifier.ShiftModifier


def wait(seconds: float, until: Callable[[], bool] | None = None) -> None:
    """Let the window live for a while, or until something has happened."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        if until is not None and until():
            return
        time.sleep(0.005)
    if until is not None:
        raise TimeoutError("the window did not get there in time")


class Walk:
    """One window on its way through the tutorial.

    Parameters
    ----------
    viewer : napari.Viewer
        Shown on a screen.
    dock : SartoriusDock
        In that window.
    shoot : callable
        Takes a picture of the window, or of a dialog; called with a name for it.
    """

    def __init__(self, viewer: Any, dock: Any, shoot: Callable[..., None]) -> None:
        self.viewer, self.dock, self.shoot = viewer, dock, shoot
        self.canvas = Canvas(viewer)
        self.times: dict[str, list[float]] = {}

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Measure a step until it is painted."""
        start = time.perf_counter()
        yield
        QApplication.processEvents()
        self.times.setdefault(step, []).append(time.perf_counter() - start)

    # -- before the corrections ------------------------------------------------------------------

    def open_sample(self) -> np.ndarray:
        """Open the sample, and return its true labels."""
        with self.timed("Open the sample"):
            _, truth = self.viewer.open_sample(PLUGIN, "crowded_phase_contrast")
            self.viewer.reset_view()
        self.shoot("sample")
        return np.asarray(truth.data)

    def make_project(self, folder: Path) -> None:
        """Make a project, add the image that is shown, and remove its layers: it has its own."""
        tab = self.dock.others.project
        self.dock.tabs.setCurrentWidget(tab.parentWidget())
        with self.timed("Make a project, add the image"):
            tab.create(folder)
            tab.adding.layers_action.trigger()
            for layer in [one for one in self.viewer.layers if not tab.session.owns(one)]:
                self.viewer.layers.remove(layer)
        self.shoot("project")

    def segment(self) -> None:
        """Let the model segment what is new."""
        tab = self.dock.others.project
        with self.timed("Segment it, the start of the worker included"):
            tab.walking.segment_button.click()
            wait(PATIENCE, lambda: "found" in tab.message.text() or "could" in tab.message.text())
        assert "cells found in 1 image." in tab.message.text(), tab.message.text()
        wait(PATIENCE, lambda: tab.doubt.of(tab.session.files[0]) > 0)
        self.shoot("segmented")

    # -- corrections -----------------------------------------------------------------------------

    @property
    def layer(self) -> Any:
        """The labels of the image that is shown."""
        return self.dock.others.project.session.labels

    @property
    def review(self) -> Any:
        """The review of doubtful cells."""
        return self.dock.others.correct.review

    def go_to_correct(self) -> None:
        """Open the Correct tab and wait until places without a label have been looked for."""
        tab = self.dock.others.correct
        with self.timed("Open the Correct tab, with the cells judged"):
            self.dock.tabs.setCurrentWidget(tab.parentWidget())
            wait(PATIENCE, lambda: tab.session is not None and bool(tab.review.queue.waiting))
        wait(PATIENCE, lambda: any(key < 0 for key in tab.review.queue.waiting))

    def overlap(self, truth: np.ndarray, label: int) -> float:
        """IoU of a label with the true cell that it covers most."""
        mask = self.layer.data == label
        true = np.bincount(truth[mask], minlength=2)
        true[0] = 0
        best = int(true.argmax())
        return float(true[best] / ((truth == best) | mask).sum()) if true[best] else 0.0

    def correct(self, truth: np.ndarray) -> list[str]:
        """Go through the queue until a cell of each kind was put right; the last step is an undo.

        Returns the tools that were used, in their order.
        """
        used: list[str] = []
        self._press(_NEXT, Qt.Key.Key_N)
        for _ in range(2 * len(self.review.queue.waiting)):
            entry = self.review.current
            if entry.is_place and "add" not in used:
                self._add(truth, entry.box)
                used.append("add")
                self._press(_NEXT, Qt.Key.Key_N)
                continue
            overlap = 0.0 if entry.is_place else self.overlap(truth, entry.key)
            if overlap < NO_CELL and "reject" not in used:
                self.shoot("doubtful")
                self._press("Reject a cell (R)", Qt.Key.Key_R)
                used.append("reject")
            elif overlap < NO_CELL or overlap >= TOO_WIDE:
                self._press("Accept a cell (Y)", Qt.Key.Key_Y)
            elif len(used) < 2:  # it comes round again
                self._press(_NEXT, Qt.Key.Key_N)
            else:
                self._shrink(truth, entry.key)
                return [*used, "shrink", "undo"]
        raise AssertionError(f"the queue held no mistakes of three kinds, only {used}")

    def _press(self, step: str, key: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        wait(0.15)  # nobody presses the next key sooner
        with self.timed(step):
            self.canvas.key(key, modifier)

    def _add(self, truth: np.ndarray, box: tuple[int, int, int, int]) -> None:
        """Let the model draw the cell in a frame."""
        y0, x0, y1, x1 = box
        there = np.bincount(truth[y0:y1, x0:x1].ravel(), minlength=2)
        there[0] = 0
        middle = np.argwhere(truth == there.argmax()).mean(axis=0)
        self.shoot("place")
        self.canvas.key(Qt.Key.Key_C)
        status, before = self.dock.others.correct.status, int(self.layer.data.max())
        with self.timed("Let the model draw a cell (C, click)"):
            self.canvas.click(*middle)
            wait(
                PATIENCE,
                lambda: self.layer.data.max() > before or status.property("role") == "warning",
            )
        label = int(self.layer.data.max())
        assert label > before, status.text()
        assert self.overlap(truth, label) > 0.5
        self.shoot("added")
        self.canvas.key(Qt.Key.Key_Escape)

    def _shrink(self, truth: np.ndarray, label: int) -> None:
        """Take pixels away around a cell as long as that is better, and the last one back."""
        self.shoot("wide")
        best = self.overlap(truth, label)
        for _ in range(5):
            before = np.asarray(self.layer.data).copy()
            self._press("Shrink a cell by a pixel (Shift+G)", Qt.Key.Key_G, _SHIFT)
            now = self.overlap(truth, label)
            if now < best:
                break
            best = now
        self._press("Undo (Ctrl+Z)", Qt.Key.Key_Z, _CONTROL)
        np.testing.assert_array_equal(self.layer.data, before)
        self.shoot("undone")

    # -- after the crash -------------------------------------------------------------------------

    def reopen(self, folder: Path) -> str:
        """Open the project again; returns what the window says about it."""
        tab = self.dock.others.project
        self.dock.tabs.setCurrentWidget(tab.parentWidget())
        with self.timed("Open the project again"):
            tab.open(folder)
            wait(PATIENCE, lambda: tab.session.labels is not None)
        wait(1.0)  # doubtful cells are counted
        self.shoot("reopened")
        return str(tab.message.text())

    def finish_review(self) -> None:
        """Accept what is left in the queue, and mark the image as done."""
        correct, project = self.dock.others.correct, self.dock.others.project
        self.dock.tabs.setCurrentWidget(correct.parentWidget())
        wait(PATIENCE, lambda: correct.session is not None and self.review.queue is not None)
        wait(1.0)  # places without a label are looked for
        self._press(_NEXT, Qt.Key.Key_N)
        while self.review.queue.waiting:
            self._press("Accept a cell (Y)", Qt.Key.Key_Y)
        self.shoot("reviewed")
        self.dock.tabs.setCurrentWidget(project.parentWidget())
        project.done_button.click()

    def export(self) -> Path:
        """Export COCO and return the file."""
        tab = self.dock.others.project
        tab.show_export()
        dialog, ended = tab.exporting, []
        dialog.ended.connect(lambda done, text: ended.append((done, text)))
        with self.timed("Export as COCO"):
            dialog.start_button.click()
            wait(PATIENCE, lambda: bool(ended))
        assert ended[0][0], ended[0][1]
        self.shoot("exported", dialog)
        dialog.close()
        (file,) = Path(dialog.folder.text()).glob("*.json")
        return file


def same_masks(coco_file: Path, labels: np.ndarray) -> int:
    """Read a COCO file with pycocotools; assert that its masks are the cells of a label image.

    Returns the number of cells.
    """
    from pycocotools.coco import COCO

    coco = COCO(str(coco_file))
    sizes = np.bincount(labels.ravel())
    left = set(np.flatnonzero(sizes)) - {0}
    for annotation in coco.loadAnns(coco.getAnnIds()):
        inside = np.unique(labels[coco.annToMask(annotation).astype(bool)])
        assert len(inside) == 1, f"annotation {annotation['id']} covers labels {inside}"
        assert coco.annToMask(annotation).sum() == sizes[inside[0]]
        left.remove(inside[0])
    assert not left, f"not in the file: {left}"
    return len(coco.anns)
