"""Reviewing a whole project in the dock: counts in the list, and on to the next image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from correction_layers import grid
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.io.project import create_project, open_project
from napari_sartorius.io.project.model_run import edit_of_run
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.project.measured_image import PlaneState, measure_image
from napari_sartorius.ui.settings import Preferences

from .conftest import FakeClient, FakeResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABELS = grid()
DOUBTFUL = {0: [], 1: [2, 5], 2: [7]}  # rows with a low predicted IoU, by image


@pytest.fixture
def dock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_napari_viewer: Any, qtbot: Any
) -> Iterator[SartoriusDock]:
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))
    project = create_project(tmp_path / "work", ["round"])
    paths = []
    for n in range(3):
        paths.append(tmp_path / f"field_{n}.png")
        Image.fromarray(np.full(LABELS.shape, 40 * n + 9, np.uint8)).save(paths[-1])
    for n, image in enumerate(project.add_files(paths)):
        masks, ids = CropMasks.from_labels(LABELS)
        fit = np.full(len(ids), 0.9)
        fit[DOUBTFUL[n]] = 0.3
        found = Instances.from_masks(masks, np.full(len(ids), 0.8, np.float32))
        found.columns["predicted_iou"] = fit
        edit = edit_of_run(project.plane(image.id), image.id, found, ["round"])
        assert edit is not None
        project.record(edit)
        project.set_status(image.id, "segmented")
    project.close()
    viewer = make_napari_viewer()
    made = SartoriusDock(viewer, client=FakeClient(), cards=[], preferences=Preferences())
    qtbot.addWidget(made)
    made.show()
    made.others.project.open(tmp_path / "work")
    yield made
    made.shut_down()


def _doubt(dock: SartoriusDock) -> list[str]:
    images = dock.others.project.images
    return [images.topLevelItem(n).text(2) for n in range(3)]


def test_the_list_counts_and_the_review_goes_on_to_the_next_image(
    dock: SartoriusDock, qtbot: Any
) -> None:
    qtbot.waitUntil(lambda: _doubt(dock) == ["", "⚠ 2", "⚠ 1"], timeout=10_000)
    project, correct = dock.others.project, dock.others.correct
    dock.tabs.setCurrentWidget(correct.parentWidget())
    correct.review.next()
    assert project.session.current == project.session.files[1]
    assert correct.review.current is not None
    assert correct.review.current.key == 3
    assert correct.saved.text().startswith("Saved ")
    correct.review.accept()
    assert _doubt(dock) == ["", "⚠ 1", "⚠ 1"]
    qtbot.waitUntil(lambda: correct.saved.text().endswith(" edits since."), timeout=5000)
    correct.review.reject()
    assert correct.status.text().endswith("N goes on to field_2.png (1 doubtful).")
    assert _doubt(dock) == ["", "", "⚠ 1"]
    correct.review.next()
    assert project.session.current == project.session.files[2]
    assert correct.review.current.key == 8
    correct.review.accept()
    correct.review.next()
    assert project.session.current == project.session.files[2]
    qtbot.waitUntil(lambda: _doubt(dock) == ["", "", ""], timeout=10_000)
    project.show_image(project.session.files[1])
    rows = correct.session.layer.features
    assert rows["reviewed"].sum() == 1
    assert len(rows) == 11
    qtbot.waitUntil(lambda: not project.doubt._waiting, timeout=10_000)


def test_undo_of_a_whole_run_is_told(dock: SartoriusDock, qtbot: Any) -> None:
    project, correct = dock.others.project, dock.others.correct
    dock.tabs.setCurrentWidget(correct.parentWidget())
    layer = project.session.labels
    free = np.nonzero(np.asarray(layer.data) == 0)
    y, x = free[0] % 2 == 0, free[1] % 3 == 0
    some = np.flatnonzero(y & x)[:6]
    with qtbot.waitSignal(project.session.progressed, timeout=5000):
        layer.data_setitem((free[0][some], free[1][some]), np.arange(50, 56, dtype=np.uint16))
    assert correct.status.text() == "Added 6 cells; Ctrl+Z undoes."
    with qtbot.waitSignal(project.session.progressed, timeout=5000):
        correct.runner.undo()
    assert "took away 6 cells" in correct.status.text()
    assert "brings them back" in correct.status.text()
    assert project.message.text().startswith("6 cells went away in one step")
    correct.runner.redo()
    assert set(range(50, 56)) <= set(np.unique(layer.data).tolist())


def test_what_a_person_did_is_not_counted() -> None:
    rows = {
        n: {"category": "a", "source": "model", "reviewed": False, "predicted_iou": 0.2}
        for n in range(1, 13)
    }
    assert measure_image([PlaneState(LABELS, rows)]).count() == 12
    rows[3]["reviewed"] = True
    rows[4]["source"] = "edited"
    assert measure_image([PlaneState(LABELS, rows)]).count() == 10
    assert measure_image([PlaneState(np.zeros_like(LABELS), {})]).count() == 0


def test_a_new_model_looks_again_and_the_review_follows(dock: SartoriusDock, qtbot: Any) -> None:
    project, correct = dock.others.project, dock.others.correct
    dock.tabs.setCurrentWidget(correct.parentWidget())
    qtbot.waitUntil(lambda: _doubt(dock) == ["", "⚠ 2", "⚠ 1"], timeout=10_000)
    layer, client = project.session.labels, dock.others._client
    before, accepted = layer.data.copy(), 5
    correct.session.accept([accepted])
    masks, ids = CropMasks.from_labels(LABELS)
    seen = np.flatnonzero(~np.isin(ids, [3, accepted]))
    extra = CropMasks.from_bitmaps([np.ones((4, 4), bool)], np.array([[0, 0]]), LABELS.shape)
    found = CropMasks.concatenate([masks[seen], extra])
    result = FakeResult(
        Instances.from_masks(found, np.full(len(found), 0.9, np.float32)), ["round"]
    )
    project.look.begin(SegmentConfig(model="neurons-2"))
    client.wait_for_job()
    assert client.jobs[-1].config.model == "neurons-2"
    with qtbot.waitSignal(project.look.looked, timeout=5000):
        client.finish(result)
    np.testing.assert_array_equal(layer.data, before)
    # the place that only the new model sees comes first, then the cell that it does not see
    assert [key if key > 0 else "place" for key in correct.review.queue.waiting] == ["place", 3]
    correct.review.next()
    assert "the new model sees a cell" in correct.review.reason.text()
    correct.review.reject()
    assert "found in 50% of models and views only" in correct.review.reason.text()
    assert "does not see 1 of 11 cells" in project.message.text()
    assert project.session.status(project.session.files[0]) == "in review"
    assert open_again(project).no_cells(project.session.project.images[0]) == [(0, 0, 4, 4)]
    # the next image is looked at when it is shown, this one not again
    project.show_image(project.session.files[1])
    client.wait_for_job()
    assert client.jobs[-1].image.name == "field_1.png"
    project.look.stop()
    assert client.handles[-1].was_cancelled


def test_places_without_a_label_are_counted_unless_a_person_said_there_is_none(
    tmp_path: Path,
) -> None:
    image, truth = phase_contrast_scene(seed=1)
    tifffile.imwrite(tmp_path / "scene.tif", image)
    labels = truth.masks.to_labels()
    missed = np.isin(labels, [3, 9, 14])
    boxes = [
        (one[0].start, one[1].start, one[0].stop, one[1].stop)
        for one in ndimage.find_objects(labels * missed)
        if one is not None
    ]
    labels[missed] = 0
    accepted = {n: {"category": "a", "source": "drawn"} for n in range(1, int(labels.max()) + 1)}
    state = PlaneState(labels, accepted, tmp_path / "scene.tif")
    count = measure_image([state]).count()
    assert count >= 2
    assert measure_image([replace(state, no_cells=boxes)]).count() <= count - 2
    assert measure_image([replace(state, path=tmp_path / "gone.tif")]).count() == 0


def open_again(tab: Any) -> Any:
    """The project as another program start would find it now."""
    project = tab.session.project
    project._lock.give_back()
    again = open_project(project.folder)
    again._lock.give_back()
    project._lock.take()
    return again


def test_using_a_trained_model_begins_the_look(dock: SartoriusDock) -> None:
    client = dock.others._client
    dock.others.train.use_asked.emit("nuclei")
    client.wait_for_job()
    assert client.jobs[-1].config.model == "nuclei"
    assert client.jobs[-1].image.name == "field_0.png"
    assert dock.others.project.message.text() == "nuclei is looking at field_0.png …"
