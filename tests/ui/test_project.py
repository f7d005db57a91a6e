"""Projects in the window: every stroke, undo and redo is on the disk, whatever happens then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from PIL import Image

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.jobs import PlaneResult
from napari_sartorius.engine.messages import (
    FailedMessage,
    FinishedMessage,
    NoticeMessage,
    ProgressMessage,
)
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.io.project import create_project, open_project
from napari_sartorius.io.project.deleting import trash_project
from napari_sartorius.io.project.recent import recent_projects
from napari_sartorius.ui.correct.session import CorrectionSession
from napari_sartorius.ui.project import questions, walk_panel
from napari_sartorius.ui.project.project_tab import ProjectTab
from napari_sartorius.ui.project.recorder import changed_rows
from napari_sartorius.ui.project.session import ProjectSession
from napari_sartorius.ui.result_panel import ResultPanel
from napari_sartorius.ui.result_view import ResultView

from .conftest import FakeClient, FakeResult, squares

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE = (60, 80)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    names = []
    for n in range(3):
        names.append(str(tmp_path / f"field_{n}.png"))
        Image.fromarray(np.full(SHAPE, 60 * n + 40, np.uint8)).save(names[-1])
    return names


@pytest.fixture
def session(qapp: Any, tmp_path: Path, pictures: list[str]) -> Iterator[ProjectSession]:
    made = ProjectSession(ViewerModel())
    made.create(tmp_path / "work", ["round", "long"])
    made.add_files(pictures)
    yield made
    made.close()


def on_disk(session: ProjectSession) -> Any:
    """The project as another program start would find it now, the present one being killed."""
    assert session.project is not None
    session.project._lock.give_back()
    again = open_project(session.project.folder)
    again._lock.give_back()
    session.project._lock.take()
    return again


def test_strokes_undo_and_redo_are_on_the_disk(session: ProjectSession, qtbot: Any) -> None:
    layer = session.labels
    assert layer is not None
    layer.selected_label = 4
    layer.brush_size = 6
    with qtbot.waitSignal(session.progressed, timeout=2000), layer.block_history():
        layer.paint((20, 20), 4)
        layer.paint((20, 30), 4)
    painted = np.asarray(layer.data).copy()
    assert painted.any()
    found = on_disk(session)
    np.testing.assert_array_equal(found.plane(1).values, painted)
    assert found.plane(1).rows[4] == {
        "category": "round",
        "score": 1.0,
        "source": "drawn",
        "reviewed": False,
    }
    assert found.status(found.images[0]) == "in review"
    for change, wanted in ((layer.undo, np.zeros_like(painted)), (layer.redo, painted)):
        with qtbot.waitSignal(session.progressed, timeout=2000):
            change()
        np.testing.assert_array_equal(on_disk(session).plane(1).values, wanted)


def test_the_first_cell_of_an_empty_image_has_a_row_like_any_other(
    session: ProjectSession, qtbot: Any
) -> None:
    layer = session.labels
    assert layer is not None
    result = ResultPanel(session._viewer)  # counts what is shown whenever the table changes
    qtbot.addWidget(result)
    result.layers.refresh()
    corrections = CorrectionSession(layer, lambda: ())
    assert corrections.draw(np.array([[5, 5], [5, 25], [25, 25], [25, 5]]), "long")
    assert layer.features["score"].dtype == float
    assert layer.features["reviewed"].dtype == bool
    assert ResultView(layer).counts()["long"] == (1, 1)
    session.show(session.files[1])
    session.show(session.files[0])
    assert session.labels.features["score"].dtype == float
    corrections.stop()
    result.stop()


def test_a_change_of_the_table_is_on_the_disk(session: ProjectSession, qtbot: Any) -> None:
    layer = session.labels
    assert layer is not None
    with qtbot.waitSignal(session.progressed, timeout=2000):
        layer.data_setitem((np.array([3, 3]), np.array([4, 5])), 9)
    import pandas as pd

    rows = {"index": [9], "category": ["long"], "score": [0.25], "reviewed": [True]}
    with qtbot.waitSignal(session.progressed, timeout=2000):
        layer.features = pd.DataFrame(rows | {"source": ["drawn"], "area": [2], "roundness": [0.5]})
    row = on_disk(session).plane(1).rows[9]
    assert row == {
        "category": "long",
        "score": 0.25,
        "source": "drawn",
        "reviewed": True,
        "roundness": 0.5,
    }


def test_only_rows_that_differ_are_looked_at() -> None:
    before = {
        "index": np.array([1, 2, 3, 4]),
        "score": np.array([0.5, np.nan, 0.7, 0.8]),
        "category": np.array(["a", "b", "", "a"], object),
    }
    assert changed_rows(before, None) is None
    assert not changed_rows(before, dict(before)).any()
    after = {
        "index": np.array([4, 2, 3, 9]),  # 1 is gone, 9 is new, the order is another
        "score": np.array([0.8, np.nan, 0.1, 0.8]),
        "category": np.array(["b", "b", "", "a"], object),
    }
    assert changed_rows(after, before).tolist() == [True, False, True, True]
    assert changed_rows(after | {"area": np.ones(4)}, before) is None  # another column
    double = {name: np.concatenate([column, column[:1]]) for name, column in after.items()}
    assert changed_rows(double, before) is None


def test_what_the_brush_touches_is_a_persons_work(session: ProjectSession, qtbot: Any) -> None:
    project = session.project
    assert project is not None
    edit = model_edit(project, 1)
    project.record(edit)
    session.refresh_labels()
    session.save()
    layer = session.labels
    assert layer is not None
    with qtbot.waitSignal(session.progressed, timeout=2000):
        layer.data_setitem((np.array([20]), np.array([6])), 0)
    found = on_disk(session)
    assert [found.plane(1).rows[label]["source"] for label in (1, 2, 3)] == [
        "edited",
        "model",
        "model",
    ]


def model_edit(project: Any, image: int) -> Any:
    from napari_sartorius.io.project.model_run import edit_of_run

    edit = edit_of_run(project.plane(image), image, squares(SHAPE), ["round", "long"])
    assert edit is not None
    return edit


def test_going_to_another_image_saves_and_shows_it(session: ProjectSession) -> None:
    layer, viewer = session.labels, session._viewer
    assert layer is not None
    viewer.add_points([[1, 1]], name="mine")
    layer.data_setitem((np.array([3]), np.array([4])), 1)
    session.step(1)  # at once, before the recorder's moment has passed
    assert session.current == session.files[1]
    assert session.project is not None
    assert session.project.unsaved == 0
    assert [one.name for one in viewer.layers] == ["mine", "field_1", "field_1 cells"]
    assert on_disk(session).plane(1).values[3, 4] == 1
    session.step(1)
    session.step(1)  # the end
    assert session.current == session.files[2]
    session.step(-2)
    assert session.labels is not None
    assert session.labels.data[3, 4] == 1
    assert session.labels.selected_label == 2


def test_stacks_are_one_layer_with_labels_of_their_own(
    session: ProjectSession, tmp_path: Path, qtbot: Any
) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.arange(2 * 30 * 40).reshape(2, 30, 40).astype("u2"))
    session.add_files([tmp_path / "s.tif"])
    session.show(session.files[-1])
    layer = session.labels
    assert layer is not None
    assert layer.data.shape == (2, 30, 40)
    with qtbot.waitSignal(session.progressed, timeout=2000), layer.block_history():
        layer.data_setitem((np.array([0]), np.array([3]), np.array([4])), 1)
        layer.data_setitem((np.array([1]), np.array([5]), np.array([6])), 2)
    found = on_disk(session)
    assert [found.plane(image).values.max() for image in (4, 5)] == [1, 2]
    assert found.plane(4).rows.keys() == {1}


def test_an_edit_that_cannot_be_written_is_told_and_tried_again(
    session: ProjectSession, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    layer = session.labels
    assert layer is not None

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with qtbot.waitSignal(session.failed, timeout=2000) as said:
        layer.data_setitem((np.array([3]), np.array([4])), 1)
    assert "disk is full" in said.args[0]
    monkeypatch.undo()
    monkeypatch.setenv("SARTORIUS_STATE", str(session.project.folder / "state"))
    assert session.save()
    assert on_disk(session).plane(1).values[3, 4] == 1


@pytest.fixture
def tab(qtbot: Any, tmp_path: Path, pictures: list[str]) -> Iterator[ProjectTab]:
    client = FakeClient()
    made = ProjectTab(ViewerModel(), client, lambda: SegmentConfig(model="nuclei"))
    made.client = client
    qtbot.addWidget(made)
    made.create(tmp_path / "work")
    made.add(pictures)
    yield made
    made.stop()


def _finish(tab: Any, qtbot: Any, *results: FakeResult) -> None:
    tab.client.say(FinishedMessage(1, [PlaneResult((), one) for one in results]))
    qtbot.wait(20)


def test_new_images_are_segmented_while_the_user_works(tab: Any, qtbot: Any) -> None:
    session, client = tab.session, tab.client
    session.show(session.files[1])
    layer = session.labels
    layer.data_setitem((np.array([22, 22]), np.array([7, 8])), 5)
    tab.walking.segment_button.click()
    assert session.status(session.files[1]) in ("new", "in review")
    assert client.jobs[0].image.name == "field_1.png"  # what is looked at comes first
    assert client.jobs[0].config.model == "nuclei"
    client.say(ProgressMessage(1, "network", 0.5, 3.0))
    qtbot.wait(20)
    assert not tab.walking.bar.isHidden()
    assert "1 of 3" in tab.walking.stage.text()
    _finish(tab, qtbot, FakeResult(squares(SHAPE), ["round", "long"]))
    # the hand-drawn pixels stay; the model's cell got the rest of its pixels
    assert (np.asarray(session.labels.data) == 5).sum() == 2
    assert len(np.unique(session.labels.data)) == 5
    layer.undo()  # the whole run is one step
    assert set(np.unique(session.labels.data)) == {0, 5}
    layer.redo()
    client.say(FailedMessage(1, "field_0.png is damaged.", "", False))
    qtbot.wait(20)
    _finish(tab, qtbot, FakeResult(squares(SHAPE), ["round", "long"]))
    assert "6 cells found in 2 images. 1 could not be segmented" in tab.message.text()
    assert tab.walking.bar.isHidden()
    assert [session.status(name) for name in session.files] == ["new", "segmented", "segmented"]
    counts = [tab.images.topLevelItem(n).text(1) for n in range(3)]
    assert counts == ["0", "4", "3"]
    assert on_disk(session).object_count(3) == 3


def test_what_must_be_known_of_segmented_images_is_shown(
    tab: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(walk_panel, "show_warning", told.append)
    cells, names, shown = squares(SHAPE), ["round", "long"], tab.walking.notices
    tab.walking.segment_button.click()
    assert shown.isHidden()
    tab.client.say(NoticeMessage(1, "memory is short, so tiles are halved"))
    qtbot.wait(20)
    assert shown.text() == "Memory is short, so tiles are halved (field_0.png)."
    assert shown.isVisibleTo(tab)
    assert shown.property("role") == "warning"
    full = "the limit of 1000 objects was reached"
    _finish(tab, qtbot, FakeResult(cells, names, notices=[full, full]))
    _finish(tab, qtbot, FakeResult(cells, names, notices=[full]))
    _finish(tab, qtbot, FakeResult(cells, names))
    assert told == [shown.text()]
    assert shown.text() == (
        "Memory is short, so tiles are halved (field_0.png). "
        "The limit of 1000 objects was reached (field_0.png and 1 more)."
    )
    tab.walking.again_button.click()  # of one image there is no need to say which
    assert shown.isHidden()
    _finish(tab, qtbot, FakeResult(cells, names, notices=[f"{full} {n} times" for n in range(6)]))
    assert shown.text().startswith("The limit of 1000 objects was reached 0 times. ")
    assert shown.text().endswith("reached 3 times. And 2 more notices.")
    tab.create(tab.session.project.folder.parent / "another")
    assert shown.isHidden()


def test_segmenting_again_keeps_what_a_person_did(tab: Any, qtbot: Any) -> None:
    session, client = tab.session, tab.client
    tab.walking.again_button.click()
    name = session.current
    assert client.jobs[-1].image.name == name.rpartition("/")[2]
    assert not tab.walking.again_button.isVisibleTo(tab)
    _finish(tab, qtbot, FakeResult(squares(SHAPE), ["round", "long"]))
    assert session.status(name) == "segmented"
    layer = session.labels
    rows = layer.features.assign(reviewed=layer.features["index"] == 2)
    layer.features = rows
    assert session.recorder.flush()
    kept = np.asarray(layer.data) == 2
    session.set_status(name, "done")
    before = np.asarray(layer.data).copy()
    tab.walking.again_button.click()
    _finish(tab, qtbot, FakeResult(squares(SHAPE, (0.8, 0.7, 0.6, 0.5)), ["round", "long"]))
    after = np.asarray(layer.data)
    np.testing.assert_array_equal(after == 2, kept)
    assert not np.isin(after, [1, 3]).any()  # what the model had found was replaced
    assert len(np.unique(after)) == 5
    assert tab.message.text() == "3 cells found in 1 image."  # the fourth is the accepted one
    assert session.status(name) == "in review"
    layer.undo()
    np.testing.assert_array_equal(np.asarray(layer.data), before)


def test_cancelling_keeps_what_is_finished(tab: Any, qtbot: Any) -> None:
    tab.walking.segment_button.click()
    _finish(tab, qtbot, FakeResult(squares(SHAPE), ["round", "long"]))
    tab.walking.cancel_button.click()
    assert tab.client.handles[-1].was_cancelled
    _finish(tab, qtbot, FakeResult(squares(SHAPE), ["round", "long"]))  # too late
    assert tab.message.text().startswith("Cancelled; 3 cells found in 1 image")
    assert [tab.session.status(name) for name in tab.session.files][1:] == ["new", "new"]


def test_done_goes_on_to_the_next_image(tab: Any) -> None:
    tab.done_button.click()
    assert tab.session.current == tab.session.files[1]
    assert tab.images.currentItem().text(0) == "field_1.png"
    assert "1 of 3 images done" in tab.saved.text()
    tab.done_button.click()
    tab.done_button.click()
    assert "3 of 3 images done" in tab.saved.text()
    assert not tab.next_button.isEnabled()


def test_a_click_on_a_row_shows_its_image(tab: Any) -> None:
    tab.images.setCurrentItem(tab.images.topLevelItem(2))
    assert tab.session.current == tab.session.files[2]


def test_bad_input_is_one_sentence_and_changes_nothing(tab: Any, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    tab.add([str(tmp_path / "text.png")])
    assert "text.png" in tab.message.text()
    assert len(tab.session.files) == 3
    tab.open(tmp_path / "nowhere")
    assert "is no project" in tab.message.text()
    assert tab.session.project is not None
    tab.create(tmp_path / "work")
    assert "is a project already" in tab.message.text()


def test_a_second_window_looks_only(tab: Any, qtbot: Any, tmp_path: Path) -> None:
    other = ProjectTab(ViewerModel(), FakeClient(), SegmentConfig)
    qtbot.addWidget(other)
    other.open(tmp_path / "work")
    assert "To be looked at only: it is open in another window" in other.message.text()
    assert not other.walking.segment_button.isEnabled()
    assert not other.done_button.isEnabled()
    assert other.session.labels is not None
    assert not other.session.labels.editable
    other.stop()
    assert tab.session.save()


def test_recovery_is_told(qtbot: Any, tmp_path: Path, pictures: list[str]) -> None:
    project = create_project(tmp_path / "work")
    project.add_files(pictures)
    project.set_status(1, "segmented")
    project._lock.give_back()
    tab = ProjectTab(ViewerModel(), FakeClient(), SegmentConfig)
    qtbot.addWidget(tab)
    assert not tab.content.isVisibleTo(tab)
    tab.open(tmp_path / "work")
    assert tab.content.isVisibleTo(tab)
    assert tab.message.text() == "1 edit made after the last save was restored."
    assert recent_projects() == [tmp_path / "work"]
    tab.stop()


def test_removing_an_image_shows_the_next(tab: Any) -> None:
    tab.session.remove(tab.session.files[0])
    assert [one.rsplit("/")[-1] for one in tab.session.files] == ["field_1.png", "field_2.png"]
    assert tab.session.current == tab.session.files[0]
    assert tab.images.topLevelItemCount() == 2


def test_deleting_a_project_asks_and_moves_it_to_the_trash(
    tab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = tab.session.labels
    layer.data_setitem((np.array([3, 3]), np.array([4, 5])), 9)
    asked: list[Path] = []
    monkeypatch.setattr(questions, "may_delete", lambda parent, folder: asked.append(folder))
    tab.delete()
    assert asked == [tmp_path / "work"]
    assert tab.session.project is not None
    monkeypatch.setattr(questions, "may_delete", lambda parent, folder: True)
    tab.delete()
    assert tab.session.project is None
    assert not (tmp_path / "work").exists()
    (place,) = (tmp_path / "trash").iterdir()
    assert tab.message.text() == f"The project is in {place} now."
    project = open_project(place)  # all of it, with the last stroke
    assert project.plane(1).values[3, 4] == 9
    project.close()
    with pytest.raises(UserError, match="is no project"):
        trash_project(tmp_path / "work")
