"""The review queue: most doubtful first, every decision one undo step, undo brings it back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from correction_layers import grid, make_layer
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.regions import region_table
from napari_sartorius.io.layer_table import NO_CELL_KEY
from napari_sartorius.postprocess.missed import same_place
from napari_sartorius.postprocess.usual import Usual
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.ui.correct.correct_tab import CorrectTab
from napari_sartorius.ui.correct.outline_layer import is_overlay
from napari_sartorius.ui.correct.review_queue import ReviewQueue
from napari_sartorius.ui.correct.review_section import Onward
from napari_sartorius.ui.correct.session import CorrectionSession
from window_hand import camera_of

IOU = np.full(12, 0.9)
IOU[[3, 6, 9]] = 0.3, 0.5, 0.6  # cells 4, 7 and 10


@pytest.fixture
def layer(viewer):
    return make_layer(viewer, grid(), predicted_iou=IOU, score=np.full(12, 0.8))


@pytest.fixture
def tab(viewer, layer, qtbot):
    made = CorrectTab(viewer)
    qtbot.addWidget(made)
    made.show()
    yield made
    made.stop()


def test_the_most_doubtful_comes_first_with_its_reason(tab, viewer):
    assert tab.review.queue.waiting == [4, 7, 10]
    assert tab.review.title.text() == "0 of 3 doubtful cells looked at"
    camera_of(viewer).zoom = 0.5
    tab.run("review_next")
    assert tab.table.selected == [4]
    assert tab.review.current.key == 4
    assert "predicted IoU 0.30" in tab.review.reason.text()
    assert any(is_overlay(one) and one.data.any() for one in viewer.layers)
    np.testing.assert_allclose(camera_of(viewer).center[-2:], (7.5, 43.5))
    assert camera_of(viewer).zoom * 8 == pytest.approx(40)  # eight pixels are hard to judge
    tab.review.next()
    assert tab.review.current.key == 7
    tab.review.previous()
    assert tab.review.current.key == 4
    tab.review.previous()
    assert "first" in tab.status.text()


def test_accept_is_one_undo_step_and_undo_brings_it_back(tab, layer):
    tab.review.next()
    tab.review.accept()
    assert layer.features["reviewed"].tolist().count(True) == 1
    assert tab.review.title.text() == "1 of 3 doubtful cells looked at"
    assert tab.review.title.minimumSizeHint().width() < 60  # long words do not widen the tab
    assert tab.review.bar.value() == 1
    assert tab.table.selected == [7]
    tab.runner.undo()
    tab.review.queue.update()
    assert not layer.features["reviewed"].any()
    assert tab.review.queue.waiting == [4, 7, 10]
    assert tab.review.current.key == 4  # what the undo changed is selected


def test_reject_deletes_and_undo_brings_it_back(tab, layer):
    pixels = layer.data.copy()
    tab.review.next()
    tab.review.reject()
    assert 4 not in layer.data
    assert tab.review.queue.waiting == [7, 10]
    assert tab.review.queue.total == 3
    tab.runner.undo()
    tab.review.queue.update()
    np.testing.assert_array_equal(layer.data, pixels)
    assert tab.review.queue.waiting == [4, 7, 10]


@pytest.mark.parametrize("tool", ["grow", "delete", "1"])
def test_what_a_person_changed_has_been_looked_at(tab, tool):
    tab.review.next()
    if tool == "1":
        tab.give_category_at(1)
    else:
        tab.run(tool)
    tab.review.queue.update()
    assert tab.review.queue.waiting == [7, 10]
    assert tab.review.queue.total == 3
    tab.runner.undo()
    tab.review.queue.update()
    assert tab.review.queue.waiting == [4, 7, 10]


def test_a_cell_that_touched_a_deleted_one_is_judged_again(viewer, qtbot):
    data = grid()
    data[2:14, 12:24][data[2:14, 12:24] == 0] = 1  # around cell 2, but for its right side
    layer = make_layer(viewer, data, score=np.full(12, 0.8))
    tab = CorrectTab(viewer)
    qtbot.addWidget(tab)
    tab.show()
    queue = tab.review.queue
    assert "touches other cells" in " ".join(queue.entry(2).reasons)
    assert 2 in queue.waiting
    tab.select([1])
    tab.run("delete")
    queue.update()
    assert 2 not in queue.waiting
    tab.runner.undo()
    queue.update()
    assert 2 in queue.waiting
    layer.data[layer.data == 1] = 0  # a script, behind napari's back
    tab.session._watch.verify()
    queue.update()
    assert 2 not in queue.waiting
    tab.stop()


def test_the_end_is_said_and_leads_to_the_next_image(tab):
    went = []
    tab.review.next()
    for _ in range(3):
        tab.review.accept()
    assert tab.status.text() == "All 3 doubtful cells have been looked at."
    tab.review.next()
    assert tab.status.text() == "All 3 doubtful cells have been looked at."
    tab.review.onward = lambda: Onward("b.png (2 doubtful)", lambda: went.append(1))
    tab.review._say_end("")
    assert tab.status.text().endswith("N goes on to b.png (2 doubtful).")
    tab.review.next()
    assert went == [1]


def test_deciding_without_a_present_cell_shows_one_first(tab, layer):
    tab.review.accept()
    assert not layer.features["reviewed"].any()
    assert tab.review.current.key == 4
    tab.select([1, 2])
    tab.review.reject()
    assert 1 in layer.data
    assert tab.review.current.key == 4


def test_a_new_run_refreshes_the_queue(tab, layer):
    tab.review.next()
    tab.review.accept()
    features = layer.features.copy()
    new = features.iloc[:12].copy()
    new["index"] = np.arange(21, 33)
    new["reviewed"] = False
    layer.data_setitem(np.nonzero(layer.data), layer.data[np.nonzero(layer.data)] + 20)
    layer.features = pd.DataFrame(new)
    tab.review.queue.update()
    assert tab.review.queue.waiting == [24, 27, 30]
    assert tab.review.queue.total == 3


def test_accepted_ones_count_as_done_when_work_goes_on(viewer, qtbot):
    reviewed = np.arange(12) == 3
    source = np.full(12, "model", object)
    make_layer(viewer, grid(), predicted_iou=IOU, reviewed=reviewed, source=source)
    tab = CorrectTab(viewer)
    qtbot.addWidget(tab)
    tab.show()
    assert tab.review.title.text().startswith("1 of 3")
    tab.stop()


def test_a_stack_is_walked_through_slice_by_slice(viewer, qtbot):
    data = np.stack([grid(), np.where(grid(), grid() + 12, 0)])
    layer = make_layer(viewer, data, predicted_iou=np.r_[IOU, IOU[::-1]])
    tab = CorrectTab(viewer)
    qtbot.addWidget(tab)
    tab.show()
    assert sorted(tab.review.queue.waiting) == [4, 7, 10, 15, 18, 21]
    tab.review.next()
    tab.review.next()
    assert tab.review.current.plane == (1,)
    assert viewer.dims.current_step[0] == 1
    assert layer.features["index"].tolist() == list(range(1, 25))
    tab.stop()


def test_places_without_a_label_are_framed_and_dismissed(viewer, qtbot):
    image, truth = phase_contrast_scene(seed=1)
    labels = truth.masks.to_labels()
    labels[np.isin(labels, [3, 9, 14])] = 0
    viewer.add_image(image, name="scene")
    layer = viewer.add_labels(labels, name="scene cells")
    tab = CorrectTab(viewer)
    qtbot.addWidget(tab)
    tab.show()
    queue = tab.review.queue
    qtbot.waitUntil(lambda: any(key < 0 for key in queue.waiting), timeout=20_000)
    places = [key for key in queue.waiting if key < 0]
    tab.review._go_to(places[0])
    entry = tab.review.current
    assert entry.is_place
    assert "looks like a cell" in tab.review.reason.text()
    assert tab.table.selected == []
    overlay = next(one for one in viewer.layers if is_overlay(one))
    assert overlay.data.any()
    tab.review.reject()
    assert places[0] not in queue.waiting
    y0, x0, y1, x1 = queue.entry(places[-1]).box
    corners = np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]], float)
    tab.session.draw(corners)
    queue.update()
    assert places[-1] not in queue.waiting
    assert layer.data.max() == truth.masks.to_labels().max() + 1
    tab.review.refresh()
    assert queue.done <= queue.total
    tab.stop()


def test_saying_that_there_is_no_cell_is_one_undo_step(viewer, qtbot):
    image, truth = phase_contrast_scene(seed=1)
    labels = truth.masks.to_labels()
    labels[np.isin(labels, [3, 9, 14])] = 0
    viewer.add_image(image, name="scene")
    layer = viewer.add_labels(labels, name="scene cells")
    tab = CorrectTab(viewer)
    qtbot.addWidget(tab)
    tab.show()
    queue = tab.review.queue
    qtbot.waitUntil(lambda: any(key < 0 for key in queue.waiting), timeout=20_000)
    place = next(key for key in queue.waiting if key < 0)
    box, done = queue.entry(place).box, queue.done
    tab.review._go_to(place)
    tab.review.reject()
    assert tab.status.text() == "No cell there; Ctrl+Z undoes."
    assert queue.done == done + 1
    assert layer.metadata[NO_CELL_KEY] == [list(box)]
    # searched for again, it is found again, and known
    tab.review.refresh()
    qtbot.waitUntil(lambda: bool(queue._places), timeout=20_000)
    assert queue.place_at((), box) == 0
    tab.runner.undo()
    assert layer.metadata[NO_CELL_KEY] == []
    assert tab.review.current.is_place
    assert same_place(tab.review.current.box, box)
    tab.runner.redo()
    assert queue.place_at((), box) == 0
    assert layer.metadata[NO_CELL_KEY] == [list(box)]
    tab.stop()


def test_a_place_is_known_by_its_middle():
    assert same_place((0, 0, 10, 10), (2, 2, 12, 12))
    assert not same_place((0, 0, 10, 10), (8, 8, 18, 18))
    assert not same_place((0, 0, 40, 40), (0, 0, 6, 6))  # one of several in a larger one


def test_few_cells_are_judged_by_what_is_usual_elsewhere(viewer, qtbot):
    table = region_table(CropMasks.from_labels(grid())[0]) | {"index": np.arange(1, 13)}
    others = Usual.of_many([table | {"category": np.full(12, "round")}])
    data = grid(1, 3, side=24)  # three cells, each nine times as large as usual
    layer = make_layer(viewer, data, category=np.full(3, "round", object))
    made = CorrectionSession(layer, lambda: ())
    known = []
    queue = ReviewQueue(made, lambda plane: None, elsewhere=lambda: known[0] if known else None)
    assert queue.needs_elsewhere
    assert queue.waiting == []
    known.append(others)
    queue.refresh()
    assert not queue.needs_elsewhere
    assert sorted(queue.waiting) == [1, 2, 3]
    assert "9 times the usual area" in queue.entry(1).reasons[0]
    queue.stop()
    made.stop()
