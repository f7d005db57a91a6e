"""Corrections in a real window, with real key and mouse events on the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from napari._vispy.visuals.labels import LabelVisual
from qtpy.QtCore import Qt

from correction_layers import grid, make_layer
from napari_sartorius.ui import partial_redraw
from napari_sartorius.ui.correct import outline_layer, pixel_watch
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.label_colours import apply_colormap, build_colormap
from napari_sartorius.ui.settings import Preferences
from window_hand import Canvas, camera_of


@pytest.fixture
def opened(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    layer = make_layer(viewer, grid())
    dock = SartoriusDock(viewer, client=SilentClient(), cards=[], preferences=Preferences())
    viewer.window.add_dock_widget(dock, name="Sartorius", area="right")
    dock.tabs.setCurrentWidget(dock.others.correct.parentWidget())
    qtbot.waitUntil(lambda: dock.others.correct.session is not None)
    yield viewer, layer, dock
    dock.shut_down()


class SilentClient:
    """An engine that nobody hears of."""

    def submit(self, job, listener=None):
        return self

    def cancel(self):
        pass

    def close(self):
        pass


def test_three_corrections_by_hand_and_their_undo(opened):
    viewer, layer, dock = opened
    before, tab, canvas = layer.data.copy(), dock.others.correct, Canvas(viewer)
    canvas.click(8, 8)
    assert tab.table.selected == [1]
    canvas.click(8, 20, Qt.KeyboardModifier.ShiftModifier)
    assert tab.table.selected == [1, 2]
    canvas.key(Qt.Key.Key_J)
    assert layer.data[8, 20] == 1
    canvas.key(Qt.Key.Key_K)
    canvas.drag((14, 32), (17, 32), (22, 32), (26, 32))
    assert "Split 7 into 2" in tab.status.text()
    canvas.key(Qt.Key.Key_Escape)
    canvas.click(32, 8)
    assert tab.table.selected == [9]
    canvas.key(Qt.Key.Key_1)
    assert layer.features.set_index("index").loc[layer.data[32, 8], "category"] == "long"
    control = Qt.KeyboardModifier.ControlModifier
    for _ in range(3):
        canvas.key(Qt.Key.Key_Z, control)
    np.testing.assert_array_equal(layer.data, before)
    canvas.key(Qt.Key.Key_Z, control | Qt.KeyboardModifier.ShiftModifier)
    assert layer.data[8, 20] == 1


def test_napari_has_its_keys_back_on_another_tab(opened):
    viewer, layer, dock = opened
    canvas = Canvas(viewer)
    canvas.click(8, 8)
    canvas.key(Qt.Key.Key_2)
    assert str(layer.mode) == "pan_zoom"
    dock.tabs.setCurrentWidget(dock.segment)
    canvas.key(Qt.Key.Key_2)
    assert str(layer.mode) == "paint"
    assert [one.name for one in viewer.layers] == ["plate cells"]


def test_a_stroke_of_the_brush_in_the_window(opened):
    viewer, layer, dock = opened
    canvas = Canvas(viewer)
    canvas.key(Qt.Key.Key_P)
    assert str(layer.mode) == "paint"
    layer.brush_size = 3
    new = layer.selected_label
    assert new == 13
    canvas.drag((1, 2), (1, 10), (1, 20))
    table = layer.features.set_index("index")
    assert table.loc[13, "source"] == "drawn"
    assert table.loc[13, "area"] == (layer.data == 13).sum() > 20
    assert "Painted" in dock.others.correct.status.text()
    canvas.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not (layer.data == 13).any()
    assert 13 not in layer.features["index"].tolist()


@pytest.mark.parametrize("parts", [True, False])
def test_undo_draws_what_changed_and_nothing_else(opened, monkeypatch, parts):
    viewer, layer, dock = opened
    tab = dock.others.correct
    if not parts:  # a version of napari that cannot
        monkeypatch.setattr(pixel_watch, "can_redraw_parts", lambda layer: False)
    tab.select([1])
    before = viewer.screenshot(flash=False)
    tab.runner.run("delete")
    deleted = viewer.screenshot(flash=False)
    assert not np.array_equal(before, deleted)
    whole = []
    layer.events.set_data.connect(lambda event: whole.append(event))
    tab.runner.undo()
    assert tab.table.selected == [1]
    np.testing.assert_array_equal(viewer.screenshot(flash=False), before)
    tab.runner.redo()
    np.testing.assert_array_equal(viewer.screenshot(flash=False), deleted)
    assert len(whole) == (0 if parts else 2)


def test_outlines_look_the_same_where_only_they_are_looked_up(opened, monkeypatch):
    viewer, _, dock = opened
    tab = dock.others.correct
    chosen = ([1], [7], [2, 12], [], [9])

    def seen():
        pictures = []
        for labels in chosen:
            tab.select(labels)
            pictures.append(viewer.screenshot(flash=False))
        camera_of(viewer).zoom *= 1.7
        camera_of(viewer).center = (0, 12, 20)
        tab.select([])  # moved while nothing was drawn
        tab.select([7])
        return [*pictures, viewer.screenshot(flash=False)]

    viewer.reset_view()
    parts = seen()
    overlay = viewer.layers["selected cells"]
    (node,) = partial_redraw._nodes(overlay)
    viewer.reset_view()
    monkeypatch.setattr(outline_layer, "draw_only", lambda layer, box: None)
    node._need_vertex_update = True  # all of it again
    for part, whole in zip(parts, seen(), strict=True):
        np.testing.assert_array_equal(part, whole)
    assert not np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0], parts[3])


def test_selecting_moves_nothing_in_the_tab(opened, qtbot):
    _, _, dock = opened
    tab = dock.others.correct
    places = []
    for labels in ([], [3], [], [1, 2]):
        tab.select(labels)
        qtbot.wait(20)
        places.append([one.geometry() for one in (tab.table, tab.table.view, tab.review)])
    assert all(place == places[0] for place in places)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_hiding_cells_looks_up_other_colours_only(make_napari_viewer, monkeypatch, dtype):
    viewer = make_napari_viewer(show=True)
    layer = viewer.add_labels(grid().astype(dtype), opacity=1.0)
    labels = np.arange(1, 13)

    def show(hidden):
        apply_colormap(layer, build_colormap(layer.data.dtype, labels, None, hidden))
        return viewer.screenshot(flash=False)

    every = show(labels < 0)
    whole, programs = [], []
    build = LabelVisual._build_color_transform
    monkeypatch.setattr(
        LabelVisual, "_build_color_transform", lambda self: programs.append(self) or build(self)
    )
    layer.events.set_data.connect(lambda event: whole.append(event))
    some = show(labels < 7)
    assert 0 < (some[..., :3] > 0).sum() < (every[..., :3] > 0).sum()
    np.testing.assert_array_equal(show(labels < 0), every)
    assert whole == programs == []
    layer.selected_label = 3
    layer.show_selected_label = True  # another program: this must still be seen
    alone = viewer.screenshot(flash=False)
    assert programs != []
    assert 0 < (alone[..., :3] > 0).sum() < (some[..., :3] > 0).sum()
