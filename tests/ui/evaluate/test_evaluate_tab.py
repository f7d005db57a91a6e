"""Comparing two layers: figures, the layer of errors, the walk through them, what is refused."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.evaluation.outcome_colours import OUTCOMES
from napari_sartorius.evaluation.outcomes import Outcome
from napari_sartorius.io.layer_table import OVERLAY_KEY
from napari_sartorius.ui.correct.correct_tab import is_correctable
from napari_sartorius.ui.label_colours import hex_to_rgba
from napari_sartorius.ui.result_view import is_result

from .conftest import FOUND, PLACEMENT, TRUE, picture

if TYPE_CHECKING:
    from pathlib import Path


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def lines(panel: Any) -> list[tuple[str, ...]]:
    model = panel.list.model
    return [
        tuple(model.data(model.index(row, column)) for column in range(4))
        for row in range(model.rowCount())
    ]


def test_guesses_which_is_which(tab: Any, truth: Any, found: Any, viewer: Any) -> None:
    assert tab.found.layer is found
    assert tab.truth.layer is truth
    newer = viewer.add_labels(picture(TRUE), name="manual annotation")
    assert tab.found.layer is found
    assert tab.truth.layer is newer
    viewer.layers.remove(newer)
    assert tab.truth.layer is truth
    tab.found.choose(truth)
    viewer.add_labels(picture(FOUND), name="again")
    assert tab.found.layer is truth


def test_figures(tab: Any, truth: Any, found: Any, compare: Any) -> None:
    panel = compare()
    assert panel.figures.text() == "6 true cells, 7 found, 1 matched."
    # One of twelve counts up to an IoU of 0.70.
    assert panel.scores.text().startswith(f"Competition mAP {5 / 10 / 12:.3f}\nCOCO AP 0.")
    chips = [push.text() for push in panel.chips.buttons.values()]
    assert chips == ["2 missed", "2 extra", "1 merged", "1 split", "1 matched"]


def test_without_scores_there_is_no_coco_figure(truth: Any, found: Any, compare: Any) -> None:
    del found.features["score"]
    found.features = found.features
    assert "COCO" not in compare().scores.text()


def test_the_list(truth: Any, found: Any, compare: Any) -> None:
    assert lines(compare()) == [
        ("missed", "truth 2", "-", "-"),
        ("missed", "truth 9", "0.29", "found 17"),
        ("extra", "found 12", "-", "-"),
        ("extra", "found 17", "0.29", "truth 9"),
        ("merged", "found 13", "0.50", "truth 3"),
        ("split", "truth 5", "0.33", "found 14"),
        ("matched", "found 11", "0.75", "truth 1"),
    ]


def test_the_layer_of_errors(viewer: Any, truth: Any, found: Any, compare: Any) -> None:
    compare()
    layer = viewer.layers["Errors"]
    assert tuple(layer.scale) == PLACEMENT["scale"]
    assert tuple(layer.translate) == PLACEMENT["translate"]
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.axis_labels == PLACEMENT["axis_labels"]
    table = layer.features.set_index("index")
    for y, x, outcome, cell in (
        (1, 12, Outcome.MISSED, "truth 2"),
        (1, 31, Outcome.EXTRA, "found 12"),
        (9, 5, Outcome.MERGED, "found 13"),
        (9, 30, Outcome.SPLIT, "truth 5"),
        (1, 1, Outcome.MATCHED, "found 11"),
        (17, 1, Outcome.MISSED, "truth 9"),
        (17, 12, Outcome.EXTRA, "found 17"),
    ):
        label = int(layer.data[y, x])
        assert table.loc[label, "outcome"] == outcome.name.lower()
        assert table.loc[label, "cell"] == cell
        assert layer.colormap.map(label) == pytest.approx(hex_to_rgba(OUTCOMES[outcome]))
    assert layer.data[1, 3] == 0  # true, but outside of the found cell that is matched
    assert layer.metadata[OVERLAY_KEY]
    assert not is_correctable(layer)
    assert not is_result(layer)


def test_small_objects_lie_on_large_ones(viewer: Any, tab: Any, compare: Any) -> None:
    """A found speck in a true cell that was missed can be seen, and clicked."""
    viewer.add_labels(picture([(1, (0, 0, 20, 20))]), name="truth")
    viewer.add_labels(picture([(1, (8, 8, 10, 10))]), name="cells")
    panel = compare()
    assert [line[:2] for line in lines(panel)] == [("missed", "truth 1"), ("extra", "found 1")]
    layer = viewer.layers["Errors"]
    assert layer.data[9, 9] == 2
    assert layer.data[1, 1] == 1


def test_walking_through(
    tab: Any, viewer: Any, truth: Any, found: Any, compare: Any, qtbot: Any
) -> None:
    panel = compare()
    panel.list.next_button.click()
    assert panel.said.text() == "Missed: truth 2, nothing found touches it."
    assert panel.list.place.text() == "1 of 7"
    centre = getattr(viewer, "scene", viewer).camera.center
    assert centre[-2:] == pytest.approx((3 + 0.5 * 1.5, 7 + 0.25 * 11.5))
    outline = viewer.layers["selected cells"]
    assert outline.data[0, 9] and outline.data[4, 12] and not outline.data[1, 12]
    keys = viewer.layers["Errors"].keymap
    said = []
    for _ in range(6):
        next(action for key, action in keys.items() if str(key) == "N")(None)
        said.append(panel.said.text())
    assert said == [
        "Missed: truth 9, best IoU 0.29 with found 17.",
        "Extra: found 12, nothing true touches it.",
        "Extra: found 17, best IoU 0.29 with truth 9.",
        "Merged: found 13 covers truth 3 and 4.",
        "Split: truth 5 covers found 14, 15 and 16.",
        "Matched: found 11 is truth 1, IoU 0.75.",
    ]
    panel.list.next_button.click()
    assert panel.list.place.text() == "1 of 7"
    panel.list.previous_button.click()
    assert panel.list.place.text() == "7 of 7"


def test_a_merge_shows_where_the_true_cells_part(
    viewer: Any, truth: Any, found: Any, compare: Any
) -> None:
    panel = compare()
    panel.list.choose(4)
    panel.go_to(4)
    outline = viewer.layers["selected cells"].data
    assert outline[9, 3] and outline[9, 4]  # each true cell's neighbour
    assert not outline[9, 1] and not outline[9, 6]


def test_a_click_on_the_image_finds_the_line(truth: Any, found: Any, compare: Any) -> None:
    panel = compare()
    panel._pointer.clicked.emit(9.0, 25.0, False)
    assert panel.said.text().startswith("Split: truth 5")
    assert panel.list.place.text() == "6 of 7"
    panel._pointer.clicked.emit(22.0, 38.0, False)  # nothing there
    assert panel.list.place.text() == "6 of 7"


def test_the_slider_changes_everything_and_adds_no_layer(
    tab: Any, viewer: Any, truth: Any, found: Any, compare: Any, settled: Any
) -> None:
    panel = compare()
    layer = viewer.layers["Errors"]
    panel.iou.setValue(0.25)
    assert panel.figures.text() == "6 true cells, 7 found, 4 matched."
    assert panel.chips.buttons[Outcome.MISSED].text() == "1 missed"
    settled()
    assert names(viewer).count("Errors") == 1
    assert viewer.layers["Errors"] is layer
    label = int(layer.data[17, 12])
    assert layer.features.set_index("index").loc[label, "outcome"] == "matched"
    compare()
    assert names(viewer).count("Errors") == 1
    assert len(viewer.layers) == 3


def test_the_curve_moves_the_slider(truth: Any, found: Any, compare: Any, qtbot: Any) -> None:
    panel = compare()
    panel.plot.resize(300, 120)
    before = panel.plot.grab().toImage()
    panel.plot.iou_asked.emit(0.8)
    assert panel.iou.value() == pytest.approx(0.8)
    assert panel.plot.grab().toImage() != before
    panel.plot.iou_asked.emit(2.0)
    assert panel.iou.value() == pytest.approx(0.95)


def test_outcomes_are_hidden_in_list_and_layer(
    viewer: Any, truth: Any, found: Any, compare: Any
) -> None:
    panel = compare()
    pixels = viewer.layers["Errors"].data.copy()
    panel.chips.buttons[Outcome.MATCHED].setChecked(False)
    panel.chips.buttons[Outcome.EXTRA].setChecked(False)
    assert [line[0] for line in lines(panel)] == ["missed", "missed", "merged", "split"]
    layer = viewer.layers["Errors"]
    assert layer.colormap.map(int(layer.data[1, 31]))[3] == 0
    assert layer.colormap.map(int(layer.data[1, 12]))[3] == 1
    assert (layer.data == pixels).all()


def test_sorting(truth: Any, found: Any, compare: Any) -> None:
    panel = compare()
    panel.list.view.sortByColumn(2, _descending())
    assert [line[1] for line in lines(panel)][:3] == ["found 11", "found 13", "truth 5"]
    panel.list.next_button.click()
    assert panel.said.text().startswith("Matched: found 11")


def _descending() -> Any:
    from qtpy.QtCore import Qt

    return Qt.SortOrder.DescendingOrder


def test_the_stage_is_shared(tab: Any, viewer: Any, truth: Any, found: Any, compare: Any) -> None:
    truth.visible = False
    compare()
    assert [found.visible, truth.visible, viewer.layers["Errors"].visible] == [False, False, True]
    tab.hide()
    assert [found.visible, truth.visible, viewer.layers["Errors"].visible] == [True, False, False]
    assert "selected cells" not in names(viewer)
    assert not viewer.layers["Errors"].keymap
    tab.show()
    assert [found.visible, truth.visible, viewer.layers["Errors"].visible] == [False, False, True]


def test_a_removed_layer_comes_back_with_the_next_comparison(
    viewer: Any, truth: Any, found: Any, compare: Any
) -> None:
    panel = compare()
    viewer.layers.remove("Errors")
    panel.list.next_button.click()
    assert panel.said.text().startswith("Missed")
    panel.chips.buttons[Outcome.EXTRA].setChecked(False)
    compare()
    assert names(viewer).count("Errors") == 1


def test_says_when_the_labels_were_edited_since(
    tab: Any, truth: Any, found: Any, compare: Any
) -> None:
    compare()
    assert "since" not in tab.status.text()
    found.data_setitem((np.array([1]), np.array([12])), 30)
    assert tab.status.text() == "The labels were changed since: compare again to see it."
    assert compare().figures.text().startswith("6 true cells, 8 found")
    assert "since" not in tab.status.text()


def test_says_what_is_shown_when_something_else_is_chosen(
    tab: Any, viewer: Any, truth: Any, found: Any, compare: Any
) -> None:
    compare()
    other = viewer.add_labels(picture(TRUE[:2]), name="other")
    tab.found.choose(other)
    assert (
        tab.status.text() == "Below is cells with ground truth; Compare shows what is chosen now."
    )


def test_saves_the_lines_shown(truth: Any, found: Any, compare: Any, tmp_path: Path) -> None:
    panel = compare()
    panel.chips.buttons[Outcome.MATCHED].setChecked(False)
    panel.save(str(tmp_path / "errors.csv"))
    assert panel.said.text() == f"Saved 6 rows to {tmp_path / 'errors.csv'}."
    with (tmp_path / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[1]["outcome"] == "missed"
    assert (rows[1]["truth"], rows[1]["found"], rows[1]["area"]) == ("9", "17", "32")
    assert (rows[2]["truth"], rows[2]["found"]) == ("0", "12")
    panel.save(str(tmp_path))
    assert str(tmp_path) in panel.said.text()


def test_nothing_to_compare(tab: Any, viewer: Any) -> None:
    assert not tab.compare_button.isEnabled()
    assert "there is nothing to compare" in tab.status.text()
    tab.compare()
    assert "there is nothing to compare" in tab.status.text()
    viewer.add_labels(picture(FOUND), name="cells")
    tab.compare()
    assert tab.status.text().startswith("cells is the only labels layer")
    assert tab.panel.isHidden()


def _same(viewer: Any) -> Any:
    return viewer.layers["ground truth"]


def _other_size(viewer: Any) -> Any:
    return viewer.add_labels(picture(TRUE, (30, 40)), name="larger")


def _elsewhere(viewer: Any) -> Any:
    placement = PLACEMENT | {"translate": (9.0, 7.0)}
    return viewer.add_labels(picture(TRUE), name="moved", **placement)


def _pyramid(viewer: Any) -> Any:
    data = picture(TRUE)
    return viewer.add_labels([data, data[::2, ::2]], multiscale=True, name="pyramid")


def _empty(viewer: Any) -> Any:
    return viewer.add_labels(picture(()), name="blank", **PLACEMENT)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_same, "Found and Truth are the same layer, ground truth: choose the layer with"),
        (_other_size, "larger is 30 x 40 pixels and ground truth 24 x 40: choose two layers"),
        (_elsewhere, "moved and ground truth do not lie on each other: compare layers of"),
        (_pyramid, "pyramid has several resolutions: compare a copy of the finest one."),
        (_empty, "blank holds no cells at all: segment the image first."),
    ],
)
def test_refuses(
    tab: Any, viewer: Any, truth: Any, found: Any, make: Any, sentence: str, qtbot: Any
) -> None:
    tab.found.choose(make(viewer))
    tab.truth.layers.choose(truth)
    tab.compare_button.click()
    qtbot.waitUntil(lambda: tab.status.text().startswith(sentence))
    assert tab.status.property("role") == "warning"
    assert tab.compare_button.text() == "Compare"
    assert tab.panel.isHidden()
    assert "Errors" not in names(viewer)


def test_an_empty_truth_is_refused(tab: Any, viewer: Any, found: Any, qtbot: Any) -> None:
    tab.truth.layers.choose(_empty(viewer))
    tab.found.choose(found)
    tab.compare_button.click()
    expected = "blank holds no cells at all: there is nothing to compare with."
    qtbot.waitUntil(lambda: tab.status.text() == expected)


def test_layers_without_a_pixel_size_are_compared_by_pixels(
    tab: Any, viewer: Any, found: Any, compare: Any
) -> None:
    tab.truth.layers.choose(viewer.add_labels(picture(TRUE), name="truth of a file"))
    tab.found.choose(found)
    assert compare().figures.text() == "6 true cells, 7 found, 1 matched."


def test_stopping(tab: Any, truth: Any, found: Any, qtbot: Any) -> None:
    tab.compare_button.click()
    assert tab.compare_button.text() == "Stop"
    tab.compare_button.click()
    assert tab.status.text() == "Stopped."
    qtbot.wait(150)
    assert tab.panel.isHidden()
