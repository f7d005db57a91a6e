"""Corrections, brush strokes, scripts and stacks: the table always says what the pixels say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from correction_layers import grid, make_layer
from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.correct.edited_layer import why_not_correctable
from napari_sartorius.ui.correct.session import CorrectionSession
from napari_sartorius.ui.correct.shown_place import go_to, shown_plane, to_pixels
from napari_sartorius.ui.correct.table_filter import matching
from window_hand import camera_of


def table_of(layer):
    return layer.features.set_index("index")


def stroke(layer, points, label):
    """One stroke of napari's brush: many calls, one step of its history."""
    with layer.block_history():
        for point in points:
            layer.paint(point, label)


def test_a_foreign_layer_gets_a_table(viewer, qtbot):
    layer = viewer.add_labels(grid(1, 3))
    session = CorrectionSession(layer, tuple)
    assert list(layer.features["index"]) == [1, 2, 3]
    assert set(layer.features["source"]) == {"drawn"}
    assert list(layer.features["area"]) == [64, 64, 64]
    assert list(layer.features["bbox_x0"]) == [4, 16, 28]
    session.stop()


def test_rows_without_pixels_are_kept_aside_and_stale_ones_measured(viewer, qtbot):
    layer = make_layer(viewer, grid(1, 3), area=np.array([64, 5, 64]))
    layer.features = pd.concat(
        [layer.features, layer.features.tail(1).assign(index=99)], ignore_index=True
    )
    session = CorrectionSession(layer, tuple)
    assert list(layer.features["index"]) == [1, 2, 3]
    assert list(layer.features["area"]) == [64, 64, 64]
    session.stop()


def test_a_brush_stroke_is_followed_as_one_step(session, layer):
    said = []
    session.said.connect(said.append)
    stroke(layer, [(8, 12), (8, 13), (8, 14)], 1)
    assert said == ["Painted; Ctrl+Z undoes."]
    row = table_of(layer).loc[1]
    assert row["area"] == (layer.data == 1).sum() > 64
    assert row["source"] == "edited"
    session.undo()
    assert table_of(layer).loc[1, "area"] == 64
    assert table_of(layer).loc[1, "source"] == "model"


@pytest.mark.parametrize("how", ["fill", "paint", "data_setitem", "paint_polygon"])
def test_single_calls_of_napari_are_followed(session, layer, how):
    if how == "fill":
        layer.fill((5, 5), 40)
    elif how == "paint":
        layer.paint((5, 5), 40)
    elif how == "data_setitem":
        layer.data_setitem((np.array([5, 6]), np.array([5, 5])), 40)
    else:
        layer.paint_polygon([[4, 4], [4, 9], [9, 9]], 40)
    assert table_of(layer).loc[40, "area"] == (layer.data == 40).sum() > 0
    assert table_of(layer).loc[40, "source"] == "drawn"
    layer.undo()
    assert 40 not in table_of(layer).index
    assert table_of(layer).loc[1, "area"] == 64
    layer.redo()
    assert table_of(layer).loc[40, "area"] == (layer.data == 40).sum()


def test_a_deleted_label_painted_again_is_a_new_cell(session, layer):
    session.delete([2])
    stroke(layer, [(0, 0)], 2)
    assert table_of(layer).loc[2, "source"] == "drawn"
    assert np.isnan(table_of(layer).loc[2, "score"])
    layer.undo()
    assert 2 not in table_of(layer).index
    layer.undo()
    assert table_of(layer).loc[2, "source"] == "model"
    assert table_of(layer).loc[2, "score"] > 0.8
    layer.redo()
    layer.redo()
    assert table_of(layer).loc[2, "source"] == "drawn"


def test_opposite_steps_are_told_apart_by_who_asked(session, layer):
    drawn = session.draw(np.array([[0.0, 0.0], [0.0, 3.0], [3.0, 3.0]]))
    session.delete([drawn])
    session.undo()
    session.redo()
    assert drawn not in table_of(layer).index
    session.undo()
    assert drawn in table_of(layer).index
    session.undo()
    assert drawn not in table_of(layer).index
    session.redo()
    assert drawn in table_of(layer).index


@pytest.mark.parametrize("again", ["napari", "session"])
def test_a_step_that_takes_back_a_part_of_the_one_before_is_done_again(session, layer, again):
    session.grow([1])
    session.shrink([1, 2, 3])  # cell 1 is as it was, the others are smaller
    shrunk = layer.data.copy()
    session.undo()
    how = []
    session.stepped.connect(lambda step, direction: how.append(direction))
    layer.redo() if again == "napari" else session.redo()
    np.testing.assert_array_equal(layer.data, shrunk)
    assert how == ["redo"]
    for label, row in table_of(layer).iterrows():
        assert row["area"] == (shrunk == label).sum()


def test_a_step_that_is_taken_back_after_a_smaller_opposite_was(session, layer):
    session.grow([1, 2, 3])
    grown = layer.data.copy()
    session.shrink([1])  # takes back a part of it
    session.undo()
    np.testing.assert_array_equal(layer.data, grown)
    how = []
    session.stepped.connect(lambda step, direction: how.append(direction))
    layer.undo()
    assert how == ["undo"]
    for label, row in table_of(layer).iterrows():
        assert row["area"] == (layer.data == label).sum() == 64


def test_accepting_is_undone_in_its_turn(session, layer):
    session.accept([1, 2])
    session.delete([3])
    session.accept([4])
    session.undo()
    assert list(layer.features["reviewed"][:4]) == [True, True, False, False]
    assert 3 not in table_of(layer).index
    session.undo()
    assert 3 in table_of(layer).index
    session.undo()
    assert not layer.features["reviewed"].any()
    session.redo()
    assert layer.features["reviewed"].sum() == 2


def test_a_new_step_ends_what_can_be_redone(session, layer):
    session.delete([3])
    session.undo()
    session.accept([1])
    session.redo()
    assert 3 in table_of(layer).index


def test_more_steps_than_napari_keeps(session, layer):
    said = []
    for _ in range(60):
        session.grow([1])
        session.shrink([1])
    before = layer.data.copy()
    session.said.connect(said.append)
    for _ in range(130):
        session.undo()
        np.testing.assert_array_equal(table_of(layer).loc[1, "area"], (layer.data == 1).sum())
    assert not np.array_equal(before, layer.data) or said
    assert said[-1] == "Nothing to undo."
    assert any("100 steps" in text for text in said)


def test_another_array_or_a_change_behind_napari_is_noticed(session, layer):
    session.delete([1])
    layer.data = grid(2, 2)
    assert list(layer.features["index"]) == [1, 2, 3, 4]
    session.delete([2])
    layer.data[:] = 0
    layer.data[2:4, 2:4] = 7
    layer.refresh()
    session._pause.timeout.emit()
    assert list(layer.features["index"]) == [7]
    assert session.rows.boxes[()][7] == (2, 2, 4, 4)


def test_labels_run_out_with_a_sentence(viewer, qtbot):
    data = np.zeros((20, 20), np.uint8)
    data[5:9, 5:9] = 255
    session = CorrectionSession(viewer.add_labels(data), tuple)
    with pytest.raises(UserError, match="used up"):
        session.set_category([255], "x")
    session.delete([255])
    assert not data.any()
    session.undo()
    assert (data == 255).sum() == 16
    session.stop()


def test_rows_keep_their_order_and_types(session, layer):
    types = layer.features.dtypes
    session.delete([1, 5, 12])
    session.set_category([2], "flat")
    session.undo()
    session.undo()
    assert list(layer.features["index"]) == list(range(1, 13))
    pd.testing.assert_series_equal(layer.features.dtypes, types)


def test_sizes_in_micrometres_stay_in_step(viewer, qtbot):
    layer = make_layer(viewer, grid(1, 2), area=np.array([64, 64]), area_um2=np.array([16.0, 16.0]))
    session = CorrectionSession(layer, tuple)
    session.shrink([1])
    assert list(layer.features["area"]) == [36, 64]
    assert list(layer.features["area_um2"]) == [9.0, 16.0]
    session.stop()


def test_steps_are_told_with_all_that_a_journal_needs(session, layer):
    told = []
    session.stepped.connect(lambda step, how: told.append((step, how)))
    replay = layer.data.copy()
    session.delete([1])
    session.merge([2, 3])
    session.undo()
    session.accept([4])
    for step, how in told[:3]:
        for one in step.changes:
            replay[one.plane][one.y, one.x] = one.before if how == "undo" else one.after
    np.testing.assert_array_equal(replay, layer.data)
    assert [how for _, how in told] == ["edit", "edit", "undo", "edit"]
    assert told[-1][0].column == "reviewed"


@pytest.fixture
def stack(viewer, qtbot):
    """Three slices with cells of their own, and label 50 in the last two."""
    data = np.stack([np.where(grid(1, 3) > 0, grid(1, 3) + 10 * t, 0) for t in range(3)])
    data = data.astype(np.uint16)
    data[1:, 0:3, 0:3] = 50
    layer = make_layer(viewer, data)
    session = CorrectionSession(layer, lambda: shown_plane(viewer, layer))
    yield viewer, layer, session
    session.stop()


def test_a_stack_is_corrected_slice_by_slice(stack):
    viewer, layer, session = stack
    viewer.dims.set_current_step(0, 1)
    with pytest.raises(UserError, match="not in this slice"):
        session.grow([1])
    session.grow([11])
    assert (layer.data[0] == 1).sum() == 64
    assert table_of(layer).loc[11, "axis-0"] == 1
    viewer.dims.set_current_step(0, 2)
    stroke(layer, [(2, 7, 13)], 21)
    area = (layer.data == 21).sum()
    assert area > 64
    assert table_of(layer).loc[21, "area"] == area
    viewer.dims.set_current_step(0, 0)
    session.undo()
    assert table_of(layer).loc[21, "area"] == 64
    session.undo()
    assert table_of(layer).loc[11, "area"] == 64


def test_an_object_in_several_slices_is_deleted_and_named_as_one(stack):
    _viewer, layer, session = stack
    assert table_of(layer).loc[50, "area"] == 18
    session.set_category([50], "tube")
    new = int(layer.data[1, 0, 0])
    assert new > 50
    assert (layer.data[2, :3, :3] == new).all()
    session.delete([new])
    assert not (layer.data == new).any()
    session.undo()
    session.undo()
    assert (layer.data[1:, :3, :3] == 50).all()
    assert table_of(layer).loc[50, "area"] == 18


def test_painting_through_several_slices_is_noticed(stack):
    _viewer, layer, _session = stack
    layer.n_edit_dimensions = 3
    layer.brush_size = 3
    layer.paint((1, 8, 40), 60)
    assert table_of(layer).loc[60, "area"] == (layer.data == 60).sum()
    layer.undo()
    assert 60 not in table_of(layer).index


def test_three_dimensions_are_refused_with_a_sentence(stack):
    viewer, _layer, session = stack
    viewer.dims.ndisplay = 3
    with pytest.raises(UserError, match="2D"):
        session.grow([1])


def test_places_follow_scale_and_position():
    viewer = ViewerModel()
    layer = viewer.add_labels(
        np.zeros((4, 20, 30), np.uint16), scale=(2, 0.5, 0.5), translate=(6, 1, 2)
    )
    go_to(viewer, layer, (3,), 10, 20)
    assert shown_plane(viewer, layer) == (3,)
    assert tuple(camera_of(viewer).center[-2:]) == (6.0, 12.0)
    assert to_pixels(layer, (12.0, 6.0, 12.0)) == (10.0, 20.0)
    viewer.dims.order = (1, 0, 2)
    assert shown_plane(viewer, layer) is None


def test_what_cannot_be_corrected_has_a_reason():
    frozen = np.zeros((4, 4), np.uint8)
    frozen.flags.writeable = False
    assert "not in memory" in why_not_correctable(Labels(frozen))
    assert why_not_correctable(Labels(np.zeros((4, 4), np.uint8))) is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", [1, 2, 3, 4]),
        ("score < 0.5", [3, 4]),
        ("0.3 <= score < 0.9", [2, 3]),
        ("category == round and not score > 0.5", [3]),
        ("category = 'long' or id == 1", [1, 2, 4]),
        ("not reviewed", [1, 2, 3]),
        ("reviewed", [4]),
        ("not ok and id > 1", [2, 3]),
        ("reviewed == yes", [4]),
        ("ROU", [1, 3]),
        ("3", [3]),
        ("category != 3", [1, 2, 3, 4]),
        ("area > -1", [1, 2, 3, 4]),
        ("(index == 1) or (index == 4)", [1, 4]),
    ],
)
def test_filters(text, kept):
    features = pd.DataFrame(
        {
            "index": [1, 2, 3, 4],
            "score": np.array([0.9, 0.6, 0.3, 0.1]),
            "category": ["round", "long", "round", "long"],
            "area": [5, 6, 7, 8],
            "reviewed": [False, False, False, True],
        }
    )
    assert features["index"][matching(features, text)].tolist() == kept


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "score.real > 1",
        "score <",
        "[x for x in score]",
        "score @ 3",
        "lambda: 3",
        "nothing > 3",
        "(" * 400,
        "score < " + "1" * 600,
        "score in (1, 2)",
        "score + 1 > 2",
    ],
)
def test_nothing_but_comparisons_is_a_filter(text):
    features = pd.DataFrame({"index": [1], "score": [0.5], "category": ["a"]})
    with pytest.raises(UserError):
        matching(features, text)


def test_a_table_that_another_program_replaced_is_completed(session, layer):
    layer.features = pd.DataFrame({"index": np.arange(1, 13), "score": np.linspace(0, 1, 12)})
    session.accept([3])
    session.delete([4])
    session.set_category([5], "flat")
    table = table_of(layer)
    assert set(table.index) == {1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13}
    assert table.loc[13, "category"] == "flat"
    assert bool(table.loc[3, "reviewed"])


def test_thousands_of_cells_at_once(viewer, qtbot):
    layer = make_layer(viewer, grid(50, 60, side=4, gap=2))
    session = CorrectionSession(layer, tuple)
    before, table = layer.data.copy(), layer.features.copy()
    every = layer.features["index"].tolist()
    session.set_category(every, "flat")
    assert set(layer.features["category"]) == {"flat"}
    session.delete(layer.features["index"].tolist())
    assert not len(layer.features)
    session.undo()
    session.undo()
    np.testing.assert_array_equal(layer.data, before)
    pd.testing.assert_frame_equal(layer.features, table)
    session.stop()
