"""Results in a real window, with the layer that was made for them beforehand and without."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import QEvent, QPoint
from qtpy.QtWidgets import QApplication

from napari_sartorius.engine.jobs import PlaneResult
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.settings import Preferences

IMAGE = np.random.default_rng(0).random((60, 80), dtype=np.float32)


@pytest.fixture
def make_docked(make_napari_viewer, client, card_maker):
    """Makes a window that is shown, with the dock in it."""
    made = []

    def make():
        viewer = make_napari_viewer(show=True)
        dock = SartoriusDock(
            viewer, client=client, cards=[card_maker("first")], preferences=Preferences()
        )
        viewer.window.add_dock_widget(dock, name="Sartorius", area="right")
        viewer.window._qt_window.resize(1000, 700)
        made.append(dock)
        return dock, viewer

    yield make
    for dock in made:
        dock.shut_down()


def find(docked, client, qtbot, result, spare=True):
    """Run on the image of the window with a scripted result, and return the new layer."""
    tab = docked.segment
    tab._spare.stop()
    if spare:
        tab._spare._prepare()
    assert tab._spare.is_ready == spare
    before = list(tab._viewer.layers)
    tab.run()
    client.wait_for_job()
    with qtbot.waitSignal(docked.bridge.finished):
        client.finish(result)
    qtbot.waitUntil(lambda: len(tab._viewer.layers) == len(before) + 1)
    tab._spare.stop()  # no other one meanwhile
    (layer,) = [one for one in tab._viewer.layers if one not in before]
    return layer


def let_go():
    """Let Qt and Python take away what nobody holds."""
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    gc.collect()


@pytest.mark.parametrize("spare", [True, False])
@pytest.mark.parametrize("is_shown", [True, False], ids=["shown", "another shown"])
def test_a_removed_result_leaves_memory(
    docked, window, client, qtbot, make_result, spare, is_shown
):
    plain(window)
    layer = find(docked, client, qtbot, make_result(), spare)
    if not is_shown:
        find(docked, client, qtbot, make_result(), spare)
    container = window.window._qt_viewer
    nodes, controls = container.canvas.layer_to_visual[layer], container.controls.widgets[layer]
    known = [weakref.ref(one) for one in (layer, nodes, controls)]
    window.layers.remove(layer)
    del layer, nodes, controls
    let_go()
    assert [one() for one in known] == [None, None, None]


def test_cleared_results_leave_memory(docked, window, client, qtbot, make_result):
    plain(window)
    known = [weakref.ref(find(docked, client, qtbot, make_result())) for _ in range(3)]
    window.layers.clear()
    let_go()
    assert [one() for one in known] == [None, None, None]


def plain(viewer):
    viewer.add_image(IMAGE, name="plate")


def in_3d(viewer):
    viewer.add_image(np.stack([IMAGE] * 3), name="plate", scale=(4, 1, 1), translate=(1, 2, 3))
    viewer.dims.ndisplay = 3


def in_a_grid(viewer):
    viewer.add_image(IMAGE, name="plate", rotate=20, shear=[0.2])
    getattr(viewer, "canvas", viewer).grid.enabled = True


@pytest.mark.parametrize("arrange", [in_3d, in_a_grid])
def test_the_canvas_looks_the_same_with_and_without(
    make_docked, client, qtbot, make_result, arrange
):
    def look():
        for _ in range(9):  # until the window is laid out: sliders come and go with the dimensions
            QApplication.processEvents()
        return viewer.screenshot(flash=False)

    looks = []
    for spare in (False, True):
        docked, viewer = make_docked()
        arrange(viewer)
        before = look()
        layer = find(docked, client, qtbot, make_result(), spare)
        found = look()
        viewer.dims.ndisplay = 5 - viewer.dims.ndisplay
        layer.opacity = 0.9
        turned = look()
        assert not np.array_equal(before, found)
        assert not np.array_equal(found, turned)
        looks.append((found, turned))
        docked.shut_down()
        viewer.close()
    for one, other in zip(*looks, strict=True):
        np.testing.assert_array_equal(one, other)


def test_controls_that_napari_makes_itself_are_left_to_it(
    make_docked, client, qtbot, make_result, monkeypatch
):
    experimental = get_settings().experimental
    if not hasattr(experimental, "dynamic_layer_controls"):
        pytest.skip("this napari has one kind of layer controls")
    monkeypatch.setattr(experimental, "dynamic_layer_controls", True)
    docked, viewer = make_docked()
    plain(viewer)
    docked.segment._spare._prepare()
    made = weakref.ref(docked.segment._spare._spare.controls)
    layer = find(docked, client, qtbot, make_result())
    shown = viewer.window._qt_viewer.controls
    assert shown.widgets == {}
    assert shown.currentWidget() is shown.panel
    layer.mode = "paint"
    viewer.screenshot(flash=False)
    known = weakref.ref(layer)
    viewer.layers.remove(layer)
    del layer
    let_go()
    assert (made(), known()) == (None, None)
    viewer.layers.clear()  # the window closes with its usual settings


def test_a_listener_that_fails_leaves_no_nodes_behind(
    docked, window, client, qtbot, make_result, monkeypatch
):
    def fail(event):
        raise ValueError("another plugin")

    plain(window)
    tab = docked.segment
    tab._spare._prepare()
    spare = tab._spare._spare
    closed = []
    monkeypatch.setattr(spare.nodes, "close", lambda: closed.append(True))
    tab.run()
    client.wait_for_job()
    request = tab._running._active
    composed = request.compose([PlaneResult((), make_result())])
    window.layers.events.inserting.connect(fail)
    with pytest.raises(ValueError, match="another plugin"):
        tab._spare.add(composed, request.layer, request.choice)
    window.layers.events.inserting.disconnect(fail)
    assert closed
    assert not tab._spare.is_ready
    tab.cancel()


def test_all_of_the_first_result_is_in_view(docked, window, client, qtbot, make_result):
    window.window._qt_window.resize(1180, 800)
    window.window._qt_window.show()
    plain(window)
    qtbot.wait(50)
    find(docked, client, qtbot, make_result())
    scroll, panel = docked.segment.scroll, docked.segment.result
    qtbot.waitUntil(lambda: scroll.verticalScrollBar().value() > 0)

    def is_whole():
        lowest = panel.mapTo(scroll.viewport(), QPoint(0, panel.height())).y()
        return lowest <= scroll.viewport().height()

    qtbot.waitUntil(is_whole)
