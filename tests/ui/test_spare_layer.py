"""The layer of a result is made beforehand, and is the same as one that is made when needed."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from napari.layers import Image

from napari_sartorius.ui import premade_layer
from napari_sartorius.ui.image_source import PlaneChoice
from napari_sartorius.ui.layer_writer import compose, to_layer
from napari_sartorius.ui.spare_layer import IDLE_MS, SpareLayer
from window_hand import Canvas, count_made

NAMES = ["round", "long"]
PLACED = {"scale": (0.5, 0.25), "translate": (3.0, -2.0), "units": ("um", "um")}
COMPARED = [
    "scale",
    "translate",
    "rotate",
    "shear",
    "units",
    "axis_labels",
    "opacity",
    "blending",
    "contour",
    "mode",
    "editable",
    "visible",
    "selected_label",
    "show_selected_label",
    "ndim",
    "brush_size",
    "contiguous",
    "n_edit_dimensions",
]


@pytest.fixture
def image():
    return Image(np.random.default_rng(0).random((60, 80), np.float32), name="field", **PLACED)


@pytest.fixture
def cells(make_cells):
    return make_cells()


def composed_of(instances, image, choice=None):
    choice = choice or PlaneChoice.everything(image)
    return compose([instances], choice, image.data.shape[:-2], NAMES, None, {"model": "a model"})


def wait_for_spare(qtbot, spare):
    spare.prepare_soon()
    qtbot.waitUntil(lambda: spare.is_ready, timeout=20 * IDLE_MS)


def made_while_adding(monkeypatch):
    """Names of the nodes and controls of labels layers that napari makes from now on."""
    from napari._qt.layer_controls.qt_labels_controls import QtLabelsControls
    from napari._vispy.layers.labels import VispyLabelsLayer

    return count_made(monkeypatch, QtLabelsControls, VispyLabelsLayer)


def test_a_result_takes_the_layer_that_was_made_for_it(
    make_napari_viewer, qtbot, image, cells, monkeypatch
):
    viewer = make_napari_viewer(show=True)
    viewer.add_layer(image)
    choice = PlaneChoice.everything(image)
    spare = SpareLayer(viewer, lambda: (image, choice))
    wait_for_spare(qtbot, spare)
    composed = composed_of(cells, image)
    made = made_while_adding(monkeypatch)
    layer = spare.add(composed, image, choice)
    assert made == []
    assert not spare.is_ready
    assert layer in viewer.layers
    assert viewer.layers.selection.active is layer
    plain = to_layer(composed, image, choice)
    viewer.add_layer(plain)
    assert sorted(made) == ["QtLabelsControls", "VispyLabelsLayer"]
    assert {name: str(getattr(layer, name)) for name in COMPARED} == {
        name: str(getattr(plain, name)) for name in COMPARED
    }
    assert layer.name == "field cells"
    assert layer.data is composed.labels
    assert layer.features.equals(plain.features)
    assert layer.metadata == plain.metadata
    np.testing.assert_array_equal(layer.affine.affine_matrix, plain.affine.affine_matrix)
    np.testing.assert_array_equal(layer.colormap.colors, plain.colormap.colors)
    np.testing.assert_array_equal(layer.extent.world, plain.extent.world)


def test_both_look_the_same(make_napari_viewer, qtbot, image, cells):
    shots = []
    choice = PlaneChoice.everything(image)
    for beforehand in (True, False):
        viewer = make_napari_viewer(show=True)
        viewer.add_layer(image)
        spare = SpareLayer(viewer, lambda: (image, choice))
        wait_for_spare(qtbot, spare)  # for the other as well: the window takes its size meanwhile
        if beforehand:
            layer = spare.add(composed_of(cells, image), image, choice)
        else:
            spare.stop()
            layer = viewer.add_layer(to_layer(composed_of(cells, image), image, choice))
        shots.append(viewer.screenshot(canvas_only=True, flash=False))
        layer.contour = 1
        shots.append(viewer.screenshot(canvas_only=True, flash=False))
        viewer.layers.clear()
        viewer.close()
    assert (shots[0] != shots[1]).any()
    np.testing.assert_array_equal(shots[0], shots[2])
    np.testing.assert_array_equal(shots[1], shots[3])


def test_brush_and_undo_work_on_it(make_napari_viewer, qtbot, image, cells):
    viewer = make_napari_viewer(show=True)
    viewer.add_layer(image)
    choice = PlaneChoice.everything(image)
    spare = SpareLayer(viewer, lambda: (image, choice))
    wait_for_spare(qtbot, spare)
    layer = spare.add(composed_of(cells, image), image, choice)
    viewer.reset_view()
    before = layer.data.copy()
    layer.mode, layer.selected_label, layer.brush_size = "paint", 9, 5
    Canvas(viewer).click(*layer.data_to_world((50, 70)))
    assert (layer.data == 9).sum() > 10
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_a_change_of_the_image_is_followed(make_napari_viewer, qtbot, image, cells):
    viewer = make_napari_viewer()
    viewer.add_layer(image)
    choice = PlaneChoice.everything(image)
    spare = SpareLayer(viewer, lambda: (image, choice))
    wait_for_spare(qtbot, spare)
    image.scale, image.translate = (2.0, 2.0), (7.0, 8.0)
    layer = spare.add(composed_of(cells, image), image, choice)
    assert layer.scale.tolist() == [2.0, 2.0]
    assert layer.translate.tolist() == [7.0, 8.0]


def test_a_stack_after_a_plain_image_gets_a_layer_of_its_own_kind(
    make_napari_viewer, qtbot, image, cells
):
    viewer = make_napari_viewer()
    stack = viewer.add_image(np.zeros((3, 60, 80), np.float32), name="stack")
    current = [image]
    spare = SpareLayer(viewer, lambda: (current[0], PlaneChoice.everything(current[0])))
    wait_for_spare(qtbot, spare)
    choice = PlaneChoice.current(stack, (1.0, 0.0, 0.0))
    composed = composed_of(cells, stack, choice)
    assert spare.add(composed, stack, choice) is None
    assert viewer.layers[-1] is stack
    current[0] = stack
    wait_for_spare(qtbot, spare)
    layer = spare.add(composed, stack, choice)
    assert layer.data.shape == (1, 60, 80)
    assert layer.translate.tolist() == [1.0, 0.0, 0.0]


def test_labels_of_more_bits_do_without(make_napari_viewer, qtbot, image, cells):
    viewer = make_napari_viewer()
    choice = PlaneChoice.everything(image)
    spare = SpareLayer(viewer, lambda: (image, choice))
    wait_for_spare(qtbot, spare)
    composed = composed_of(cells, image)
    wide = type(composed)(composed.labels.astype(np.uint32), composed.features, composed.metadata)
    assert spare.add(wide, image, choice) is None
    assert not spare.is_ready


def test_what_cannot_be_filled_costs_no_result(
    make_napari_viewer, qtbot, image, cells, monkeypatch, caplog
):
    viewer = make_napari_viewer()
    choice = PlaneChoice.everything(image)
    spare = SpareLayer(viewer, lambda: (image, choice))
    wait_for_spare(qtbot, spare)

    def fail(one, other):
        raise ValueError("two transforms that cannot be compared")

    monkeypatch.setattr(premade_layer, "_same", fail)
    assert spare.add(composed_of(cells, image), image, choice) is None
    assert "cannot be used" in caplog.text
    assert not spare.is_ready
    assert len(viewer.layers) == 0


def test_without_a_window_or_with_another_napari_there_is_none(
    make_napari_viewer, qtbot, image, viewer, monkeypatch
):
    choice = PlaneChoice.everything(image)
    windowless = SpareLayer(viewer, lambda: (image, choice))
    unknown = SpareLayer(make_napari_viewer(), lambda: (image, choice))
    asked = []

    def make(*arguments):
        asked.append(None)
        raise AttributeError("no such name in this version")

    monkeypatch.setattr(premade_layer.PremadeLayer, "make", make)
    windowless.prepare_soon()
    unknown.prepare_soon()
    qtbot.waitUntil(lambda: len(asked) == 1, timeout=20 * IDLE_MS)
    assert not windowless.is_ready
    assert not unknown.is_ready


def test_nothing_is_made_while_it_is_not_wanted(make_napari_viewer, qtbot):
    asked = []
    spare = SpareLayer(make_napari_viewer(), lambda: asked.append(None))
    spare.prepare_soon()
    qtbot.waitUntil(lambda: len(asked) == 1, timeout=20 * IDLE_MS)
    assert not spare.is_ready


def test_waiting_controls_are_not_seen_when_the_window_is_shown_again(
    make_napari_viewer, qtbot, image, cells
):
    viewer = make_napari_viewer(show=True)
    viewer.add_layer(image)
    choice = PlaneChoice.everything(image)
    spare = SpareLayer(viewer, lambda: (image, choice))
    viewer.window._qt_window.hide()
    wait_for_spare(qtbot, spare)
    viewer.window._qt_window.show()
    waiting = spare._spare.controls
    qtbot.wait(50)
    assert not waiting.isVisible()
    spare.add(composed_of(cells, image), image, choice)
    assert waiting.isVisible()


def test_what_is_dropped_goes_away(make_napari_viewer, qtbot, image):
    viewer = make_napari_viewer()
    choice = PlaneChoice.everything(image)
    spare = SpareLayer(viewer, lambda: (image, choice))
    wait_for_spare(qtbot, spare)
    known = weakref.ref(spare._spare.layer)
    controls = spare._spare.controls
    gone = []
    controls.destroyed.connect(lambda *_: gone.append(True))
    del controls
    spare.stop()
    qtbot.waitUntil(lambda: bool(gone))
    gc.collect()
    assert known() is None
    assert not spare.is_ready


def test_the_tab_makes_one_when_idle_and_again_after_each_result(
    window, docked, client, make_result, qtbot
):
    window.add_image(np.zeros((60, 80), np.float32), name="field")
    spare = docked.segment._spare
    docked.segment.ask_device()
    for number in (1, 2, 3):
        qtbot.waitUntil(lambda: spare.is_ready, timeout=20 * IDLE_MS)
        waiting = spare._spare.layer
        docked.segment.run()
        client.wait_for_job()
        client.finish(make_result())
        qtbot.waitUntil(lambda count=number: len(window.layers) == 1 + count)
        assert window.layers[-1] is waiting
        assert docked.segment.result.layers.layer is waiting
    qtbot.waitUntil(lambda: spare.is_ready, timeout=20 * IDLE_MS)
    docked.shut_down()
    assert not spare.is_ready
