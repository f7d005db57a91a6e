"""What napari draws with every layer or change is drawn when it is needed."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from napari.layers import Labels

from napari_sartorius.ui.label_colours import apply_colormap, build_colormap
from napari_sartorius.ui.late_overlays import make_overlays_late
from napari_sartorius.ui.late_thumbnail import QUIET_MS, update_thumbnail_later
from window_hand import Canvas, count_made


def test_overlays_of_tools_are_made_when_their_tool_is_chosen(make_napari_viewer, monkeypatch):
    # older versions of napari have one overlay only, and make it at once
    brush = pytest.importorskip("napari._vispy.overlays.labels_brush_stroke")
    polygon = pytest.importorskip("napari._vispy.overlays.labels_polygon")
    made = count_made(
        monkeypatch, polygon.VispyLabelsPolygonOverlay, brush.VispyLabelsBrushStrokeOverlay
    )
    viewer = make_napari_viewer()
    layer = viewer.add_layer(make_overlays_late(Labels(np.zeros((40, 40), np.uint16))))
    assert made == []
    layer.mode = "erase"
    assert made == []
    layer.mode = "polygon"
    assert made == ["VispyLabelsPolygonOverlay"]
    layer.mode = "paint"
    layer.mode = "polygon"
    assert sorted(made) == ["VispyLabelsBrushStrokeOverlay", "VispyLabelsPolygonOverlay"]


def test_polygon_tool_fills_as_ever(make_napari_viewer):
    painted = []
    for late in (make_overlays_late, lambda layer: layer):
        viewer = make_napari_viewer(show=True)
        layer = viewer.add_layer(late(Labels(np.zeros((40, 40), np.uint16))))
        viewer.reset_view()
        layer.mode = "polygon"
        canvas = Canvas(viewer)
        for y, x in ((8, 8), (8, 30), (30, 30)):
            canvas.click(y, x)
        canvas.double_click(30, 8)
        painted.append(layer.data.copy())
        viewer.close()
    assert painted[1].sum() > 200
    np.testing.assert_array_equal(painted[0], painted[1])


def test_thumbnail_follows_once_the_colours_stay(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    layer = viewer.add_labels(np.ones((40, 40), np.uint16))
    apply_colormap(layer, build_colormap(layer.data.dtype, np.array([1]), None, np.array([False])))
    qtbot.wait(2 * QUIET_MS)
    full, drawn = layer.thumbnail.copy(), []
    layer.events.thumbnail.connect(lambda event: drawn.append(event))
    for hidden in (True, False, True):
        colormap = build_colormap(layer.data.dtype, np.array([1]), None, np.array([hidden]))
        apply_colormap(layer, colormap)
    assert drawn == []
    qtbot.waitUntil(lambda: len(drawn) == 1)
    assert full[..., 3].any()
    assert not layer.thumbnail[..., :3].any()


def test_a_removed_layer_is_not_kept_for_its_thumbnail(qtbot):
    layer = Labels(np.ones((40, 40), np.uint16))
    known = weakref.ref(layer)
    update_thumbnail_later(layer)
    del layer
    gc.collect()
    assert known() is None
    qtbot.wait(2 * QUIET_MS)  # nobody draws what is gone
