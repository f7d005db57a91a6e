"""The Train tab: says what is missing, shows how it goes, hands the model over."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from napari_sartorius.engine.messages import (
    CancelledMessage,
    FailedMessage,
    FinishedMessage,
    NoticeMessage,
    ProgressMessage,
)
from napari_sartorius.engine.plan_jobs import PlannedTraining
from napari_sartorius.engine.trained_model import CategoryScore, TrainedModel
from napari_sartorius.io.sources import read_dataset
from napari_sartorius.training.plan import CategoryCount
from napari_sartorius.training.run_files import CANCEL_FILE, LAST_FILE, PAUSE_FILE, STOP_FILE
from napari_sartorius.training.run_state import RunState, write_state
from napari_sartorius.ui.close_guard import TRAINING, TRAINING_UNSAVED
from napari_sartorius.ui.train import questions
from napari_sartorius.ui.train.data_choice import LAYERS

from .train_hand import CURVE, Scripted, plan

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import FakeClient


@pytest.fixture
def worker(client: FakeClient, qtbot: Any) -> Scripted:
    """Who plans and trains."""
    return Scripted(type(client)(), qtbot.waitUntil)


@pytest.fixture
def tab(dock: Any, worker: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    dock.make_job_client = lambda: worker.client
    made = dock.others.train
    made.refresh()
    return made


@pytest.fixture
def project(dock: Any, tmp_path: Path) -> Any:
    """A project with one image, which has a cell."""
    Image.fromarray(np.full((60, 80), 99, np.uint8)).save(tmp_path / "a.png")
    part = dock.others.project
    part.create(tmp_path / "my work")
    part.add([str(tmp_path / "a.png")])
    layer = part.session.labels
    layer.data_setitem((np.array([3, 4]), np.array([5, 5])), 1)
    part.session.save()
    return part


def test_says_what_is_missing(tab: Any, dock: Any, tmp_path: Path) -> None:
    assert tab.plan.text().startswith("Open a project first, in the tab Project")
    assert not tab.setup.run_button.isEnabled()
    Image.fromarray(np.full((60, 80), 99, np.uint8)).save(tmp_path / "a.png")
    dock.others.project.create(tmp_path / "work")
    dock.others.project.add([str(tmp_path / "a.png")])
    tab.refresh()
    assert tab.plan.text().startswith("Mark corrected images as done")
    assert tab.setup.data.sentence.text() == "None of 1 image is done."
    assert not tab.setup.run_button.isEnabled()


def test_the_plan_says_what_is_learnt_from(
    tab: Any, project: Any, worker: Scripted, qtbot: Any
) -> None:
    project.done()
    tab.refresh()
    setup = tab.setup
    assert tab.plan.text() == "Counting cells …"
    assert setup.data.sentence.text() == "1 of 1 image is done, with 1 cell."
    job = worker.plan(seconds=None, warnings=("The masks are hollow.",), work=20.0)
    assert job.data == project.session.project.folder
    assert job.model == setup.start.currentData()
    qtbot.waitUntil(lambda: "about 8 min on this computer's processor" in tab.plan.text())
    assert [tab.plan.table.cell(3, n) for n in range(5)] == ["long", "2", "1,234", "1", "7"]
    assert "At most 300 steps of 4 crops" in tab.plan.text()
    assert "1 of 5 images is kept apart" in tab.plan.text()
    assert "The masks are hollow." in tab.plan.text()
    assert setup.name.text() == f"{setup.start.currentData()}-my-work"
    assert setup.run_button.isEnabled()


def test_the_name_proposed_for_layers_is_allowed(tab: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((60, 80)), name="Größe (generated)")
    viewer.add_labels(np.ones((60, 80), np.uint16), name="cells")
    setup = tab.setup
    setup.data.kind.select_data(LAYERS)
    tab.refresh()
    assert setup.name.text() == f"{setup.start.currentData()}-Grosse--generated"
    assert setup.obstacle() is None


def test_few_cells_are_told(tab: Any) -> None:
    view = tab.setup.plan
    view.show_plan(PlannedTraining(plan(warnings=("The masks are hollow.",)), "cpu", 0.5))
    assert "little to learn" not in view.text()
    rows = (CategoryCount("round", 1, 2, 1, 9), CategoryCount("long", 1, 1, 1, 30))
    view.show_plan(PlannedTraining(plan(rows=rows), "cpu", 0.5))
    assert "There is little to learn from (3 cells): outline every cell" in view.warnings.text()


def test_a_plan_that_must_fit_the_time_says_so(tab: Any) -> None:
    view = tab.setup.plan
    view.show_plan(PlannedTraining(plan(strips=True, few_images=8), "cuda:0", 10.0, 900.0))
    assert "About 15 min on its graphics card: as many steps" in view.text()
    assert "with 8 images or more" in view.text()
    view.show_plan(PlannedTraining(plan(), "cuda:0", 0.1, 900.0))
    assert (
        "At most 300 steps of 4 crops: about 30 s on its graphics card, once it is ready."
        in view.text()
    )


def test_the_name_must_be_free_and_plain(tab: Any, project: Any, worker: Scripted) -> None:
    project.done()
    tab.refresh()
    worker.plan()
    setup = tab.setup
    for name, words in (
        ("no/slash", "Give the model a name"),
        ("größer", "letters from a to z"),
        (setup.start.currentData(), "already: choose another name"),
    ):
        setup.name.setText(name)
        setup.name.textEdited.emit(name)
        assert words in setup.message.text()
        assert not setup.run_button.isEnabled()
    setup.name.setText("ours")
    setup.name.textEdited.emit("ours")
    assert setup.message.isHidden()
    assert setup.run_button.isEnabled()


def test_nothing_starts_against_the_plan(
    tab: Any, project: Any, worker: Scripted, qtbot: Any
) -> None:
    project.done()
    tab.refresh()
    worker.plan(problem="a.png: one object covers 99% of the image; split it.")
    qtbot.waitUntil(lambda: "one object covers 99%" in tab.plan.text())
    assert tab.plan.state.property("role") == "error"
    assert not tab.setup.run_button.isEnabled()
    tab.run()
    assert not tab.is_running


@pytest.fixture
def running(tab: Any, project: Any, worker: Scripted, qtbot: Any) -> Any:
    project.done()
    tab.refresh()
    tab.setup.name.setText("ours")
    worker.plan()
    qtbot.waitUntil(tab.setup.run_button.isEnabled)
    tab.setup.run_button.click()
    return tab


def test_a_run_from_start_to_use(
    running: Any, worker: Scripted, dock: Any, project: Any, qtbot: Any
) -> None:
    job = worker.next("FineTuneJob")
    page = running.run_page
    assert running.pages.currentWidget() is page
    assert (job.name, job.effort, job.recipe) == ("ours", "quick", None)
    assert job.data == project.session.project.folder
    assert job.folder.parent == job.data / "runs"
    job.folder.mkdir(parents=True)
    (job.folder / "curve.csv").write_text(CURVE)
    worker.say(ProgressMessage(1, "training, step 50 of 300", 0.17, 100.0))
    worker.say(NoticeMessage(1, 'step 50: {"score": 0.31}'))
    qtbot.waitUntil(lambda: "Best score so far 0.310, at step 50" in page.best.text())
    assert page.best.text().endswith("0.200 before.")
    assert page.stage.text() == "Training, step 50 of 300 · about 2 min left"
    assert page.bar.value() == 170
    assert page.curves.score_line.getData()[1].tolist() == [0.2, 0.31]
    assert page.curves.loss_line.getData()[1].tolist() == pytest.approx([1.3])
    assert page.curves.best.getData()[0].tolist() == [50]
    scores = (CategoryScore("round", 0.1, 0.3), CategoryScore("long", None, 0.32))
    worker.say(FinishedMessage(1, TrainedModel("ours", 0.2, 0.31, 300, 250, scores)))
    qtbot.waitUntil(lambda: "score 0.200 before, 0.310 now" in page.outcome.sentence.text())
    table = [[page.outcome.table.cell(row, n) for n in range(4)] for row in (1, 2, 3)]
    assert table[0] == ["round", "0.100", "0.300", "+0.200"]
    assert table[1][::2] == ["long", "0.320"]
    assert table[2] == ["all", "0.200", "0.310", "+0.110"]
    assert not page.outcome.use_button.isHidden()
    asked: list[str] = []
    running.use_asked.connect(asked.append)
    page.outcome.use_button.click()
    assert asked == ["ours"]
    assert dock.tabs.currentWidget() is dock.segment
    page.outcome.back_button.click()
    assert running.pages.currentWidget() is running.setup


def test_no_better_is_said(running: Any, worker: Scripted, qtbot: Any) -> None:
    worker.answer("FineTuneJob", TrainedModel(None, 0.3, 0.3, 200))
    outcome = running.run_page.outcome
    qtbot.waitUntil(lambda: "no better than before" in outcome.sentence.text())
    assert outcome.use_button.isHidden()
    assert not outcome.back_button.isHidden()


def test_before_the_first_step_nothing_is_promised(
    running: Any, worker: Scripted, qtbot: Any
) -> None:
    folder = worker.next("FineTuneJob").folder
    page = running.run_page
    assert page.curves.isHidden()  # axes of nothing would show figures
    worker.say(ProgressMessage(1, "remembering", 0.4, 110.0))
    worker.say(NoticeMessage(1, "2 images: a quarter of each is kept apart"))
    qtbot.waitUntil(lambda: not page.message.isHidden())
    assert page.message.text() == "2 images: a quarter of each is kept apart."
    assert page.stage.text() == "Getting ready: remembering · about 2 min"
    assert not page.stop_button.isEnabled()  # there is no best to keep
    worker.say(ProgressMessage(1, "looking at the images, 12 of 300", 0.04, 110.0))
    qtbot.waitUntil(lambda: "12 of 300" in page.stage.text())
    assert page.stage.text() == "Getting ready: looking at the images, 12 of 300 · about 2 min"
    assert page.bar.value() > 0
    page.pause_button.click()
    assert page.stage.text().endswith("about 2 min. It pauses before the first step.")
    page.pause_button.click()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curve.csv").write_text("step,score\n0,0.2\n")
    page.look()
    assert not page.curves.isHidden()
    assert page.curves.loss.isHidden()
    page.show_progress("training, step 1 of 300", 0.0, None)
    assert page.stop_button.isEnabled()
    page.show_progress("choosing between old and new weights", 1.0, None)
    assert page.stage.text() == "Finishing: choosing between old and new weights"


def test_pause_go_on_stop_and_keep(running: Any, worker: Scripted, qtbot: Any) -> None:
    folder = worker.next("FineTuneJob").folder
    page = running.run_page
    page.show_progress("training, step 9 of 300", 0.03, 40.0)
    page.pause_button.click()
    assert (folder / PAUSE_FILE).exists()
    assert page.stage.text() == "Pausing after this step …"
    assert page.pause_button.text() == "Go on"
    worker.say(NoticeMessage(1, "paused after step 9; the checkpoint is on the disk"))
    qtbot.waitUntil(lambda: "processor is free" in page.stage.text())
    assert page.stage.text() == "Paused at step 9 of 300; the processor is free."
    page.pause_button.click()
    assert not (folder / PAUSE_FILE).exists()
    assert page.pause_button.text() == "Pause"
    assert page.stage.text() == "Training, step 9 of 300 · about 40 s left"
    page.pause_button.click()
    page.stop_button.click()
    assert (folder / STOP_FILE).exists()
    assert not (folder / PAUSE_FILE).exists()
    assert not page.stop_button.isEnabled()
    assert page.stage.text() == "Stopping after this step, with a last look at the result …"
    page.show_progress("choosing between old and new weights", 1.0, None)
    assert page.stage.text() == "Finishing: choosing between old and new weights"


def test_cancel_and_failure_are_told(
    running: Any, worker: Scripted, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.next("FineTuneJob")
    asked: list[str] = []
    monkeypatch.setattr(questions, "may_cancel", lambda _, *told: asked.append(told) or False)
    running._began -= 700
    running.run_page.cancel_button.click()
    assert asked == [("12 min", False)]
    assert not worker.client.handles[-1].was_cancelled
    running._began += 700
    running.run_page.cancel_button.click()  # nobody is asked about a run of seconds
    assert worker.client.handles[-1].was_cancelled
    worker.say(CancelledMessage(1))
    page = running.run_page
    # there is no checkpoint to go on from
    qtbot.waitUntil(lambda: page.message.text() == "Cancelled; nothing was added.")
    page.outcome.back_button.click()
    worker.plan()
    qtbot.waitUntil(running.setup.run_button.isEnabled)
    running.setup.run_button.click()
    folder = worker.next("FineTuneJob").folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LAST_FILE).touch()
    running._began -= 700
    page.cancel_button.click()
    assert asked[1:] == [("12 min", True)]
    running._on_cancelled()
    assert page.message.text().endswith("continued under “Train another”.")
    worker.say(FailedMessage(1, "The disk is full."))
    qtbot.waitUntil(lambda: page.message.text() == "The disk is full.")
    assert not running.is_running
    assert page.title.text() == "ours"  # it trains no more


def test_an_unfinished_run_is_offered_continued_and_discarded(
    tab: Any, worker: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, beat in (("old", 1.0e9), ("late", 1.7e9)):
        folder = tmp_path / "state" / "runs" / name
        folder.mkdir(parents=True)
        job = {"data": str(tmp_path), "model": "first", "name": name, "statuses": ["done"]}
        state = {"host": socket.gethostname(), "pid": 2**22 - 5, "step": 120, "steps": 300}
        write_state(folder, RunState(name=name, job=job, heartbeat=beat, **state))
        (folder / LAST_FILE).touch()
    tab.refresh()
    offer = tab.setup.unfinished
    assert offer.text.text().startswith("late was cut short at step 120 of 300, ")
    assert offer.text.text().endswith("1 more run can go on.")
    monkeypatch.setattr(questions, "may_discard", lambda *_: False)
    offer.discard_button.click()
    assert (tmp_path / "state" / "runs" / "late").exists()
    monkeypatch.setattr(questions, "may_discard", lambda *_: True)
    offer.discard_button.click()
    assert (tmp_path / "state" / "trash" / "late" / LAST_FILE).exists()
    assert offer.text.text().startswith("old was cut short at step 120 of 300, ")
    offer.continue_button.click()
    job = worker.next("FineTuneJob")
    assert (job.name, job.model, job.folder) == ("old", "first", tmp_path / "state/runs/old")
    assert tab.is_running
    assert tab.run_page.title.text() == "Training old"


def test_closing_asks_while_a_training_runs(running: Any, worker: Scripted, dock: Any) -> None:
    job = worker.next("FineTuneJob")
    assert dock._would_lose_a_run() is TRAINING_UNSAVED
    job.folder.mkdir(parents=True)
    (job.folder / LAST_FILE).touch()
    assert dock._would_lose_a_run() is TRAINING
    worker.say(CancelledMessage(1))
    assert dock._would_lose_a_run() is None


def test_a_run_that_went_on_without_its_viewer_is_taken_up_again(
    tab: Any, dock: Any, tmp_path: Path, qtbot: Any
) -> None:
    import psutil

    folder = tmp_path / "state" / "runs" / "live"
    folder.mkdir(parents=True)
    own = {"pid": os.getpid(), "process_started": psutil.Process().create_time()}
    job = {"data": str(tmp_path), "model": "first", "name": "live", "statuses": ["done"]}
    state = RunState(name="live", job=job, host=socket.gethostname(), step=30, steps=300, **own)
    write_state(folder, state)
    tab.refresh()
    page = tab.run_page
    assert tab.pages.currentWidget() is page
    assert tab.is_running
    assert dock._would_lose_a_run() is None  # it would go on
    assert page.stage.text() == "Training, step 30 of 300"
    assert page.bar.value() == 100
    page.pause_button.click()
    assert page.stage.text() == "Pausing after this step …"
    write_state(folder, state.model_copy(update={"state": "paused"}))
    tab._watcher.look()
    assert page.stage.text() == "Paused at step 30 of 300; the processor is free."
    page.pause_button.click()
    tab._began += 1e12  # nobody is asked about a run of seconds
    page.cancel_button.click()
    assert (folder / CANCEL_FILE).exists()
    result = {"name": "live", "before": 0.1, "after": 0.2, "steps": 300, "categories": []}
    write_state(folder, state.model_copy(update={"state": "finished", "result": result}))
    made: list[str] = []
    tab.model_made.connect(made.append)
    tab._watcher.look()
    assert made == ["live"]
    assert "score 0.100 before, 0.200 now" in page.outcome.sentence.text()
    assert not tab.is_running
    tab._watcher.watch(folder)
    assert not tab.is_running


def test_a_watched_run_that_dies_is_told(tab: Any, tmp_path: Path) -> None:
    said: list[str] = []
    tab._watcher.failed.connect(said.append)
    state = RunState(name="x", host=socket.gethostname(), pid=2**22 - 5)
    write_state(tmp_path, state)
    tab.run_page.begin(tmp_path, "x", 10)
    tab._watcher.watch(tmp_path)
    assert said[0].startswith("The training stopped unexpectedly: continue it")
    write_state(tmp_path, state.model_copy(update={"state": "failed", "sentence": "No disk."}))
    tab._watcher.watch(tmp_path)
    assert said[1] == "No disk."


def test_the_worker_that_plans_ends_when_nobody_asks(
    tab: Any, project: Any, worker: Scripted, qtbot: Any
) -> None:
    project.done()
    tab.refresh()
    worker.next("PlanJob")
    looking = tab.looking
    looking._on_idle()  # it is being asked
    assert worker.client.closed == 0
    worker.say(FinishedMessage(1, PlannedTraining(plan(), "cpu", 0.5)))
    worker.answer("PreviewJob", [])
    qtbot.waitUntil(lambda: not looking.is_asking)
    looking._on_idle()
    assert worker.client.closed == 1
    looking.other_pictures()  # the next question starts another one
    worker.next("PreviewJob")


def test_layers_are_written_into_the_run_as_they_are_when_it_starts(
    tab: Any, viewer: Any, worker: Scripted, qtbot: Any, tmp_path: Path
) -> None:
    viewer.add_image(np.random.default_rng(0).random((60, 80)), name="field")
    labels = viewer.add_labels(np.zeros((60, 80), np.uint8), name="cells")
    labels.data[5:15, 5:15] = 1
    tab.refresh()
    assert tab.setup.data.chosen == "layers"
    looked_at = worker.plan()
    assert read_dataset(looked_at.data).object_count == 1
    qtbot.waitUntil(tab.setup.run_button.isEnabled)
    labels.data[30:40, 30:40] = 2  # painted after the plan
    tab.setup.run_button.click()
    assert not looked_at.data.exists()
    job = worker.next("FineTuneJob")
    assert job.folder.parent == tmp_path / "state" / "runs"
    assert job.data == job.folder / "data"
    assert job.dataset().object_count == 2
