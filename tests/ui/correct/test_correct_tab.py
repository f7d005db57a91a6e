"""The Correct tab as a user meets it: rows, clicks, keys, buttons, and nothing left behind."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from canvas_hand import drag, press
from correction_layers import grid, make_layer
from napari_sartorius.ui.correct.correct_tab import CorrectTab
from napari_sartorius.ui.correct.outline_layer import is_overlay
from napari_sartorius.ui.correct.tools import TOOLS
from window_hand import camera_of


@pytest.fixture
def tab(viewer, layer, qtbot):
    made = CorrectTab(viewer)
    qtbot.addWidget(made)
    made.show()
    yield made
    made.stop()


def rows(tab):
    return tab.table.model.labels.tolist()


def outlined(viewer):
    """Labels of the test grid that have a white outline now."""
    found = [one for one in viewer.layers if is_overlay(one)]
    if not found or found[0].data.size < 4:
        return 0
    return int(found[0].data.sum())


def test_rows_are_the_layers_own(tab, layer):
    assert rows(tab) == list(range(1, 13))
    shown = [tab.table.model.headerData(i, Qt.Orientation.Horizontal) for i in range(7)]
    assert shown == ["id", "category", "score", "area", "shape", "source", "ok"]
    features = layer.features.copy()
    features.loc[0, "category"] = "changed elsewhere"
    layer.features = features
    assert tab.table.model.data(tab.table.model.index(0, 1)) == "changed elsewhere"


def test_a_click_selects_the_row_and_shift_adds(tab, viewer):
    drag(viewer, (5.0, 5.0))
    assert tab.table.selected == [1]
    drag(viewer, (5.0, 17.0), modifiers=("Shift",))
    assert tab.table.selected == [1, 2]
    selected = {i.row() for i in tab.table.view.selectionModel().selectedRows()}
    assert selected == {0, 1}
    drag(viewer, (5.0, 5.0), modifiers=("Shift",))
    assert tab.table.selected == [2]
    drag(viewer, (0.0, 0.0))
    assert tab.table.selected == []


def test_moving_the_image_selects_nothing(tab, viewer):
    camera_of(viewer).zoom = 4
    drag(viewer, (5.0, 5.0), (9.0, 9.0))
    assert tab.table.selected == []


def test_selecting_a_row_outlines_and_centres_the_cell(tab, viewer, layer):
    tab.table.view.selectRow(11)
    assert tab.table.selected == [12]
    assert tuple(camera_of(viewer).center[-2:]) == (31.5, 43.5)
    assert outlined(viewer) == 4 * 8
    assert layer.selected_label == 12
    assert viewer.layers.selection.active is layer
    tab.runner.escape()
    assert outlined(viewer) == 0
    assert layer.selected_label == 13  # the brush makes a new cell


def test_every_tool_has_a_button_and_a_key(tab, layer):
    keys = {str(key) for key in layer.keymap}
    for tool in TOOLS:
        assert tool.key in keys or tool.key.replace("Shift-", "Shift+") in keys
        assert (tab.panel.buttons | tab.review.buttons)[tool.name].isEnabled()
    assert len({tool.key for tool in TOOLS}) == len(TOOLS)


@pytest.mark.parametrize(
    ("key", "selected", "said"),
    [
        ("Delete", [3], "Deleted 1 cell"),
        ("J", [1, 2], "Merged 2 cells into 1"),
        ("G", [4], "Grew 4"),
        ("Shift+G", [4], "Shrank 4"),
        ("O", [4], "Smoothed 4"),
        ("1", [1, 3], "Made 2 cells long"),
        ("A", [5], "Accepted 1 cell"),
    ],
)
def test_a_key_is_one_undo_step_and_says_what_it_did(tab, layer, key, selected, said):
    pixels, table = layer.data.copy(), layer.features.copy()
    tab.select(selected)
    tab.give_category_at(8)  # there is no ninth category: nothing happens
    press(layer, key)
    assert tab.status.text().startswith(said)
    assert "Ctrl+Z undoes" in tab.status.text()
    changed = not np.array_equal(layer.data, pixels) or not layer.features.equals(table)
    assert changed
    press(layer, "Ctrl+Z")
    np.testing.assert_array_equal(layer.data, pixels)
    pd.testing.assert_frame_equal(layer.features, table)
    press(layer, "Ctrl+Shift+Z")
    assert not np.array_equal(layer.data, pixels) or not layer.features.equals(table)


def test_a_new_category_label_stays_selected(tab, layer):
    tab.select([1, 2])
    tab.give_category_at(0)
    assert tab.table.selected == [2, 13]
    assert tab.table.selected == [2, 13]
    assert layer.data[5, 5] == 13


def test_accepting_goes_to_the_next_cell(tab):
    tab.select([2])
    tab.runner.run("accept")
    assert tab.table.selected == [3]
    tab.table.filter.setText("not reviewed")
    tab.table.refresh()
    assert 2 not in rows(tab)


def test_a_line_parts_a_cell(tab, viewer, layer):
    tab.runner.run("line")
    assert tab.panel.buttons["line"].isChecked()
    assert not layer.mouse_pan
    drag(viewer, (2.0, 8.0), (7.0, 8.0), (14.0, 8.0))
    assert tab.status.text() == "Split 1 into 2; Ctrl+Z undoes."
    assert layer.data[8, 5] != layer.data[8, 11]
    assert not any(one.name == "pen" for one in viewer.layers)
    tab.runner.escape()
    assert layer.mouse_pan
    assert not tab.panel.buttons["line"].isChecked()


def test_escape_in_the_middle_of_a_stroke_changes_nothing(tab, viewer, layer):
    before = layer.data.copy()
    tab.runner.run("line")
    event = SimpleNamespace(type="mouse_press", position=(2.0, 8.0), modifiers=(), button=1)
    going = [callback(viewer, event) for callback in viewer.mouse_drag_callbacks]
    going = [one for one in going if hasattr(one, "__next__")]
    for at in [(2.0, 8.0), (7.0, 8.0), (14.0, 8.0)]:
        event.position = at
        for one in going:
            next(one, None)
        event.type = "mouse_move"
    assert any(one.name == "pen" for one in viewer.layers)
    tab.runner.escape()
    assert not any(one.name == "pen" for one in viewer.layers)
    event.type = "mouse_release"
    for one in going:
        next(one, None)
    np.testing.assert_array_equal(layer.data, before)


def test_drawing_makes_a_cell_of_the_chosen_kind_and_takes_nothing(tab, viewer, layer):
    tab.panel.choose_category("round")
    tab.runner.run("draw")
    drag(viewer, (5.0, 5.0), (5.0, 14.0), (14.0, 14.0), (14.0, 5.0))
    row = layer.features.set_index("index").loc[13]
    assert (row["category"], row["source"]) == ("round", "drawn")
    assert (layer.data == 1).sum() == 64
    assert tab.table.selected == [13]
    tab.panel.overwrite.setChecked(True)
    assert not layer.preserve_labels
    drag(viewer, (5.0, 5.0), (5.0, 14.0), (14.0, 14.0), (14.0, 5.0))
    assert (layer.data == 14).sum() == 100


def test_a_hole_is_cut_and_filled(tab, viewer, layer):
    tab.runner.run("hole")
    drag(viewer, (6.0, 6.0), (6.0, 9.0), (9.0, 9.0), (9.0, 6.0))
    assert (layer.data == 1).sum() == 64 - 16
    assert layer.features["source"].iloc[0] == "edited"
    tab.select([1])
    tab.runner.run("fill")
    assert (layer.data == 1).sum() == 64
    assert layer.features["source"].iloc[0] == "model"


def test_what_cannot_be_done_is_said(tab, layer):
    before = layer.data.copy()
    tab.select([1])
    tab.runner.run("merge")
    assert tab.status.text().startswith("Select two cells or more to merge")
    tab.select([])
    tab.runner.run("grow")
    assert tab.status.text().startswith("Select a cell")
    tab.select([1])
    tab.runner.run("seeds")
    assert tab.status.text().startswith("No waist found")
    np.testing.assert_array_equal(layer.data, before)


def test_filter_and_slider_choose_rows_and_selection_survives(tab):
    tab.select([1])
    tab.table.filter.setText("score < 0.5 and category == long")
    tab.table.refresh()
    assert rows(tab) == [10, 12]
    assert tab.table.selected == [1]
    tab.table.filter.setText("")
    tab.table.range.setValue((0.0, 0.4))
    tab.table.refresh()
    assert rows(tab) == [11, 12]
    tab.table.filter.setText("colour < 3")
    tab.table.refresh()
    assert "no column 'colour'" in tab.table.count.text()


def test_sorting_keeps_the_selection(tab):
    tab.select([3, 4])
    tab.table.view.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    tab.table.refresh()
    assert rows(tab)[0] == 12
    chosen = {rows(tab)[i.row()] for i in tab.table.view.selectionModel().selectedRows()}
    assert chosen == {3, 4} == set(tab.table.selected)


def test_copy_and_csv_hold_the_rows_shown(tab, tmp_path):
    tab.table.filter.setText("id <= 2")
    tab.table.refresh()
    tab.table.copy_button.click()
    assert len(QApplication.clipboard().text().strip().splitlines()) == 3
    path = tmp_path / "cells.csv"
    tab.save_table(str(path))
    saved = pd.read_csv(path)
    assert saved["index"].tolist() == [1, 2]
    assert saved["reviewed"].tolist() == [False, False]
    tab.save_table(str(tmp_path / "missing" / "cells.csv"))
    assert "missing" in tab.status.text()


def test_leaving_the_tab_leaves_nothing_behind(tab, viewer, layer):
    tab.select([1, 2])
    tab.runner.run("line")
    assert len(viewer.layers) == 2
    tab.hide()
    assert list(viewer.layers) == [layer]
    assert not layer.keymap
    assert layer.mouse_pan
    layer.data_setitem((np.array([0]), np.array([0])), 1)  # a change while it is not seen
    tab.show()
    assert layer.features["area"].iloc[0] == 65
    press(layer, "Ctrl+Z")
    assert layer.features["area"].iloc[0] == 64


def test_a_layer_that_is_removed_is_let_go(tab, viewer, layer):
    tab.select([1])
    viewer.layers.remove(layer)
    assert tab.session is None
    assert not tab.panel.buttons["delete"].isEnabled()
    assert tab.table.model.rowCount() == 0
    other = make_layer(viewer, grid(1, 2))
    assert tab.session.layer is other
    assert rows(tab) == [1, 2]


def test_layers_that_cannot_be_corrected_say_why(tab, viewer):
    viewer.add_labels([np.zeros((64, 64), np.uint8), np.zeros((32, 32), np.uint8)], name="pyramid")
    assert tab.session is None
    assert "several resolutions" in tab.status.text()


def test_another_key_can_be_chosen(viewer, layer, qtbot):
    tab = CorrectTab(viewer, keys={"merge": "U", "seeds": ""})
    qtbot.addWidget(tab)
    tab.show()
    tab.select([1, 2])
    press(layer, "U")
    assert tab.status.text().startswith("Merged")
    assert tab.panel.buttons["merge"].text() == "Merge (U)"
    assert "J" not in {str(key) for key in layer.keymap}
    tab.keys.show_sheet()
    tab.keys.sheet.close()
    tab.stop()


def test_a_key_that_is_none_gives_the_usual_one(viewer, layer, qtbot):
    tab = CorrectTab(viewer, keys={"merge": "Nonsense-Q-Q"})
    qtbot.addWidget(tab)
    tab.show()
    assert "J" in {str(key) for key in layer.keymap}
    tab.stop()


def test_twenty_thousand_rows(viewer, qtbot):
    data = np.arange(1, 20_001, dtype=np.uint16).reshape(100, 200)
    layer = make_layer(viewer, data)
    tab = CorrectTab(viewer)
    qtbot.addWidget(tab)
    tab.show()
    assert tab.session.layer is layer
    assert tab.table.model.rowCount() == 20_000
    tab.table.view.selectAll()
    assert len(tab.table.selected) == 20_000
    tab.runner.run("accept")
    assert "20,000 ok" in tab.table.count.text()
    tab.session.undo()
    assert not layer.features["reviewed"].any()
    tab.stop()
