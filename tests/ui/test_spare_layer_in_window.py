"""Results in a real window, with the layer that was made for them beforehand and without."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint
from qtpy.QtWidgets import QApplication

from napari_sartorius.engine.jobs import PlaneResult

IMAGE = np.random.default_rng(0).random((60, 80), dtype=np.float32)


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
    window.add_image(IMAGE, name="plate")
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
    window.add_image(IMAGE, name="plate")
    known = [weakref.ref(find(docked, client, qtbot, make_result())) for _ in range(3)]
    window.layers.clear()
    let_go()
    assert [one() for one in known] == [None, None, None]


def test_a_listener_that_fails_leaves_no_nodes_behind(
    docked, window, client, qtbot, make_result, monkeypatch
):
    def fail(event):
        raise ValueError("another plugin")

    window.add_image(IMAGE, name="plate")
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
    window.add_image(IMAGE, name="plate")
    qtbot.wait(50)
    find(docked, client, qtbot, make_result())
    scroll, panel = docked.segment.scroll, docked.segment.result
    qtbot.waitUntil(lambda: scroll.verticalScrollBar().value() > 0)
    QApplication.processEvents()
    QApplication.processEvents()
    lowest = panel.mapTo(scroll.viewport(), QPoint(0, panel.height())).y()
    assert lowest <= scroll.viewport().height()
