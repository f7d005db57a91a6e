"""Filtering a result changes what is seen and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap

from napari_sartorius.io.label_room import dtype_with_room
from napari_sartorius.io.napari_hooks import get_coco_reader, write_coco_file
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.label_colours import build_colormap, hex_to_rgba, object_palette
from napari_sartorius.ui.result_view import ResultView, is_result
from napari_sartorius.ui.settings import Preferences


@pytest.fixture
def shown(dock, segment, make_result):
    """A result in the dock: labels 1 to 3 with scores 0.9, 0.6, 0.3 and two categories."""
    return dock, segment(make_result())


def visible(layer):
    """Labels that are drawn with any opacity."""
    alpha = layer.colormap.map(np.arange(int(layer.data.max()) + 1, dtype=layer.data.dtype))[:, 3]
    return list(np.flatnonzero(alpha > 0))


def slide(dock, value):
    dock.segment.result.score.setValue(value)
    dock.segment.result._redraw.timeout.emit()


def test_everything_is_shown_at_first(shown):
    dock, layer = shown
    assert visible(layer) == [1, 2, 3]
    assert dock.segment.result.figures.text() == "3 cells · confluence 6.2\u00a0%"


def test_a_new_result_is_coloured_before_it_is_added(dock, viewer, segment, make_result):
    drawn_again = []

    def watch(event):
        if isinstance(event.value, Labels):
            colours.append(event.value.colormap.colors.copy())
            event.value.events.colormap.connect(drawn_again.append)

    colours = []
    viewer.layers.events.inserted.connect(watch, position="first")
    layer = segment(make_result())
    np.testing.assert_array_equal(layer.colormap.colors, colours[0])
    palette = object_palette()
    np.testing.assert_allclose(layer.get_color(2), palette[2])
    assert drawn_again == []
    slide(dock, 0.5)
    assert len(drawn_again) == 1
    slide(dock, 0.5)
    dock.segment.result._redraw.timeout.emit()
    assert len(drawn_again) == 1


def test_slider_hides_low_scores_and_brings_them_back(shown):
    dock, layer = shown
    before = layer.data.copy()
    slide(dock, 0.5)
    assert visible(layer) == [1, 2]
    assert dock.segment.result.figures.text() == "2 of 3 cells shown · confluence 4.2\u00a0%"
    slide(dock, 0.0)
    assert visible(layer) == [1, 2, 3]
    np.testing.assert_array_equal(layer.data, before)


def test_hiding_leaves_the_undo_history_alone(shown):
    dock, layer = shown
    layer.data_setitem((np.array([0]), np.array([0])), 3)
    slide(dock, 0.5)
    layer.undo()
    assert layer.data[0, 0] == 0
    assert visible(layer) == [1, 2]


def test_category_box_hides_its_cells(shown):
    dock, layer = shown
    panel = dock.segment.result
    assert list(panel.category_checks) == ["round", "long"]
    panel.category_checks["round"].setChecked(False)
    panel._redraw.timeout.emit()
    assert visible(layer) == [2]
    assert panel._category_counts["round"].text() == "0 of 2"
    assert panel._category_counts["long"].text() == "1"


def test_colour_by_category_uses_the_models_colours(shown):
    dock, layer = shown
    dock.segment.result.colour_by.setCurrentIndex(1)
    dock.segment.result._redraw.timeout.emit()
    np.testing.assert_allclose(layer.get_color(1), hex_to_rgba("#e69f00"), atol=1e-6)
    np.testing.assert_allclose(layer.get_color(2), hex_to_rgba("#56b4e9"), atol=1e-6)
    np.testing.assert_allclose(layer.get_color(3), hex_to_rgba("#e69f00"), atol=1e-6)


def test_contour_toggle_and_layer_follow_each_other(shown):
    dock, layer = shown
    dock.segment.result.contour.setChecked(True)
    assert layer.contour == 1
    layer.contour = 0
    assert not dock.segment.result.contour.isChecked()


def test_painted_cell_without_a_score_stays_visible(shown):
    dock, layer = shown
    slide(dock, 0.95)
    layer.data_setitem((np.array([50]), np.array([50])), 200)
    assert layer.get_color(200)[3] == 1.0
    assert visible(layer)[0] == 4  # labels 1 to 3 are hidden, all others are not


def test_shuffling_colours_keeps_the_filter(shown):
    dock, layer = shown
    slide(dock, 0.5)
    first = layer.get_color(1).copy()
    layer.new_colormap()
    assert visible(layer) == [1, 2]
    assert not np.allclose(layer.get_color(1), first)


def test_show_selected_mode_survives_the_filter(shown):
    dock, layer = shown
    layer.selected_label = 2
    layer.show_selected_label = True
    slide(dock, 0.5)
    assert layer.show_selected_label
    assert visible(layer) == [2]


def test_each_layer_keeps_its_own_filter(shown, segment, make_result):
    dock, first = shown
    slide(dock, 0.5)
    second = segment(make_result())
    panel = dock.segment.result
    assert panel.layers.layer is second
    assert panel.score.value() == 0.0
    panel.layers.choose(first)
    assert panel.score.value() == 0.5
    assert visible(first) == [1, 2]
    assert visible(second) == [1, 2, 3]


def test_a_copy_of_outlines_is_outlines(shown, viewer):
    dock, layer = shown
    dock.segment.result.contour.setChecked(True)
    dock.segment.result.copy_button.click()
    copy = viewer.layers[-1]
    assert copy is not layer
    assert (copy.contour, copy.opacity) == (layer.contour, layer.opacity) == (1, 1.0)
    assert dock.segment.result.contour.isChecked()


def test_copy_of_shown_cells_is_a_filtered_layer_with_the_same_numbers(shown, dock, viewer):
    _, layer = shown
    slide(dock, 0.5)
    dock.segment.result.copy_button.click()
    copy = viewer.layers[-1]
    assert copy.name == "plate cells shown"
    assert list(np.unique(copy.data)) == [0, 1, 2]
    assert list(copy.features["index"]) == [1, 2]
    assert list(np.unique(layer.data)) == [0, 1, 2, 3]
    np.testing.assert_allclose(copy.scale, layer.scale)


def test_layer_from_a_file_can_be_filtered_too(dock, viewer):
    features = pd.DataFrame({"index": [5, 9], "score": [0.2, 0.8]})
    labels = np.zeros((10, 10), np.uint16)
    labels[2:4], labels[6:8] = 5, 9
    layer = viewer.add_labels(labels, features=features)
    slide(dock, 0.5)
    assert layer.get_color(5)[3] == 0.0
    assert layer.get_color(9)[3] == 1.0
    assert dock.segment.result.categories_box.isHidden()


@pytest.fixture
def reopened(shown, viewer, tmp_path):
    """The dock, a result, and the layer that comes back from the COCO file it was saved to."""
    dock, fresh = shown
    path = str(tmp_path / "cells.json")
    write_coco_file(path, [layer.as_layer_data_tuple() for layer in viewer.layers])
    read = get_coco_reader(path)
    for data in read(path):
        viewer.add_layer(Layer.create(*data))
    return dock, fresh, viewer.layers[-1]


def test_reopened_result_looks_like_the_fresh_one(reopened):
    dock, fresh, layer = reopened
    assert layer is not fresh
    assert dock.segment.result.layers.layer is layer
    np.testing.assert_array_equal(layer.data, fresh.data)
    colours = np.array([layer.get_color(n) for n in (1, 2, 3)])
    np.testing.assert_allclose(colours, [fresh.get_color(n) for n in (1, 2, 3)])
    np.testing.assert_allclose(colours, object_palette()[1:4], atol=1e-6)


def test_reopened_result_is_filtered_at_once(reopened):
    dock, fresh, layer = reopened
    slide(dock, 0.5)
    assert visible(layer) == [1, 2]
    panel = dock.segment.result
    assert list(panel.category_checks) == ["round", "long"]
    panel.category_checks["round"].setChecked(False)
    panel._redraw.timeout.emit()
    assert visible(layer) == [2]
    panel.colour_by.setCurrentIndex(1)
    panel._redraw.timeout.emit()
    np.testing.assert_allclose(layer.get_color(2), hex_to_rgba("#56b4e9"), atol=1e-6)
    assert visible(fresh) == [1, 2, 3]


def test_result_that_was_there_before_the_dock_is_coloured_when_it_opens(
    reopened, viewer, client, card_maker, qtbot
):
    first, _, layer = reopened
    first.shut_down()
    layer.colormap = CyclicLabelColormap(colors=np.ones((3, 4)))
    second = SartoriusDock(viewer, client, [card_maker()], Preferences())
    qtbot.addWidget(second)
    assert second.segment.result.layers.layer is layer
    np.testing.assert_allclose(layer.get_color(1), object_palette()[1], atol=1e-6)
    second.shut_down()


def test_colours_that_the_user_gave_are_kept(dock, viewer, shown):
    _, layer = shown
    own = DirectLabelColormap(color_dict={None: "red", 0: "transparent", 1: "blue"})
    features, metadata = layer.features, layer.metadata
    copy = viewer.add_labels(layer.data, features=features, metadata=metadata, colormap=own)
    np.testing.assert_allclose(copy.get_color(1), (0, 0, 1, 1))
    slide(dock, 0.5)  # asking for a filter asks for its colours
    assert visible(copy) == [1, 2]


def test_ordinary_labels_are_no_result(dock, viewer):
    layer = viewer.add_labels(np.zeros((5, 5), np.uint8))
    assert not is_result(layer)
    assert dock.segment.result.isHidden()


def test_result_section_goes_when_its_layer_goes(shown, dock, viewer):
    assert not dock.segment.result.isHidden()
    viewer.layers.remove("plate cells")
    assert dock.segment.result.isHidden()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int32", "uint64"])
def test_hidden_labels_are_transparent_in_every_label_type(dtype):
    labels = np.array([[0, 1], [2, 3]], dtype=dtype)
    layer = Labels(labels)
    colormap = build_colormap(
        layer.data.dtype, np.array([1, 2, 3]), None, np.array([False, True, False])
    )
    layer.colormap = colormap
    assert [layer.get_color(label)[3] for label in (1, 2, 3)] == [1.0, 0.0, 1.0]
    drawn = layer.colormap.map(layer.data)
    assert drawn[..., 3].ravel().tolist() == [0.0, 1.0, 0.0, 1.0]


def test_more_labels_than_napari_can_hide_is_said_and_copying_still_works(dock, viewer):
    count = 70_000
    labels = np.arange(count, dtype=np.uint32).reshape(100, -1)
    features = pd.DataFrame(
        {"index": np.arange(1, count), "score": np.linspace(0, 1, count - 1, dtype=np.float32)}
    )
    viewer.add_labels(labels, features=features)
    slide(dock, 0.5)
    assert "65,534" in dock.segment.result.origin.text()
    dock.segment.result.copy_button.click()
    assert np.unique(viewer.layers[-1].data)[1] == 35_000


@pytest.mark.parametrize(
    ("count", "dtype"), [(0, "uint16"), (60_000, "uint16"), (65_000, "uint32")]
)
def test_label_type_leaves_room_for_painted_cells(count, dtype):
    assert dtype_with_room(count) == dtype


def test_palette_is_bright_and_distinct():
    palette = object_palette()
    assert palette[:, :3].max(axis=1).min() > 0.85
    near = np.linalg.norm(palette[:-1, :3] - palette[1:, :3], axis=1)
    assert near.min() > 0.3


def test_confluence_of_a_layer_without_areas_is_unknown():
    viewer = ViewerModel()
    layer = viewer.add_labels(
        np.ones((4, 4), np.uint8), features=pd.DataFrame({"index": [1], "score": [0.5]})
    )
    assert ResultView(layer).confluence() is None
