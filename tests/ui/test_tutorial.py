"""The steps of the tutorial, with a scripted engine: what the page promises goes on to work."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.engine.jobs import PlaneResult, SegmentJob
from napari_sartorius.engine.messages import FinishedMessage
from napari_sartorius.engine.prompt_jobs import PromptJob
from napari_sartorius.inference.prompt import PromptAnswer
from napari_sartorius.samples.napari_samples import crowded_phase_contrast
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.settings import Preferences

from .conftest import NAMES, FakeClient, FakeHandle, FakeResult, make_card

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "tutorial"))

from walk import Walk, same_masks

DOCS = Path(__file__).parents[2] / "docs"
MISSED, WIDE = 5, 63  # cells of the sample


class ScriptedClient(FakeClient):
    """Segments with three mistakes, and draws true cells when asked."""

    def __init__(self, truth: np.ndarray) -> None:
        super().__init__()
        self.truth = truth

    def submit(self, job: Any, listener: Any = None) -> FakeHandle:
        if isinstance(job, SegmentJob):
            self._answer(listener, [PlaneResult((), self.found())])
        elif isinstance(job, PromptJob):
            self._answer(listener, PromptAnswer(self.of(self.truth == MISSED), NAMES[0], "cpu", 0))
        else:
            return super().submit(job, listener)
        return FakeHandle()

    def _answer(self, listener: Any, result: Any) -> None:
        threading.Thread(target=listener, args=(FinishedMessage(1, result),)).start()

    def of(self, mask: np.ndarray) -> Instances:
        masks, _ = CropMasks.from_labels(mask.astype(np.uint8))
        return Instances.from_masks(masks, np.array([0.7], np.float32))

    def found(self) -> FakeResult:
        labels = np.where(self.truth == MISSED, 0, self.truth).astype(np.uint16)
        wide = ndimage.binary_dilation(self.truth == WIDE, iterations=3) & (labels == 0)
        labels[wide] = WIDE
        free = ndimage.distance_transform_cdt(labels == 0)
        free[self.truth == MISSED] = 0
        y, x = np.unravel_index(np.argmax(free), free.shape)
        labels[y - 3 : y + 4, x - 3 : x + 4] = wrong = labels.max() + 1
        masks, ids = CropMasks.from_labels(labels)
        scores = np.where(ids == wrong, 0.2, np.where(ids == WIDE, 0.6, 0.9)).astype(np.float32)
        return FakeResult(Instances.from_masks(masks, scores), list(NAMES))


@pytest.fixture
def start(make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Opens a window with the dock in it."""
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))
    card = make_card("first")
    monkeypatch.setattr("napari_sartorius.zoo.find_bundle", lambda name: SimpleNamespace(card=card))
    docks, pictures = [], []

    def open_window(truth: np.ndarray) -> Walk:
        viewer = make_napari_viewer(show=True)
        dock = SartoriusDock(
            viewer, client=ScriptedClient(truth), cards=[card], preferences=Preferences()
        )
        viewer.window.add_dock_widget(dock, name="Sartorius", area="right")
        docks.append(dock)
        return Walk(viewer, dock, lambda name, dialog=None: pictures.append(name))

    open_window.pictures = pictures
    yield open_window
    for dock in docks:
        dock.shut_down()


def test_from_a_picture_to_a_corrected_exported_dataset(start: Any, tmp_path: Path) -> None:
    (image, *_), (truth, *_) = crowded_phase_contrast()
    walk = start(truth)
    walk.viewer.add_image(image, name="crowded phase contrast (generated)")
    walk.make_project(tmp_path / "experiment")
    assert [layer.name for layer in walk.viewer.layers] == [
        "crowded_phase_contrast_(generated)",
        "crowded_phase_contrast_(generated) cells",
    ]
    walk.segment()
    walk.go_to_correct()
    used = walk.correct(truth)
    assert sorted(used[:2]) == ["add", "reject"]
    assert used[2:] == ["shrink", "undo"]
    labels = np.asarray(walk.layer.data).copy()
    walk.dock.others.project.session.recorder.flush()
    walk.dock.others.project.session.project._lock.give_back()  # as when the process was killed

    second = start(truth)
    assert "restored" in second.reopen(tmp_path / "experiment")
    np.testing.assert_array_equal(second.layer.data, labels)
    assert second.layer.features["solidity"].between(0.5, 1.1).all()  # measured for the table
    second.finish_review()
    assert same_masks(second.export(), labels) == len(np.unique(labels)) - 1
    shown = {path.stem for path in (DOCS / "images" / "tutorial").glob("*.png")}
    assert shown == {*start.pictures, "sample"}
