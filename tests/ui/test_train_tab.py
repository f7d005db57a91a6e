"""The Train tab: says what is missing, shows how it goes, hands the model over."""

from __future__ import annotations

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
from napari_sartorius.engine.train_jobs import FineTuneJob, TrainedModel
from napari_sartorius.training.run_files import STOP_FILE
from napari_sartorius.ui.train.curve import CurvePlot, read_curve

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import FakeClient

CURVE = "step,seconds_per_step,loss_class,loss_mask,score\n0,,,,0.2\n50,0.5,0.7,0.6,0.31\n"


@pytest.fixture
def trainer(client: FakeClient) -> FakeClient:
    """Who runs the training."""
    return type(client)()


@pytest.fixture
def tab(dock: Any, trainer: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SARTORIUS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    dock.make_job_client = lambda: trainer
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
    assert tab.plan.text() == "Open a project first, in the tab Project."
    assert not tab.run_button.isEnabled()
    Image.fromarray(np.full((60, 80), 99, np.uint8)).save(tmp_path / "a.png")
    dock.others.project.create(tmp_path / "work")
    dock.others.project.add([str(tmp_path / "a.png")])
    tab.refresh()
    assert tab.plan.text().startswith("Mark corrected images as done")
    assert not tab.run_button.isEnabled()


def test_the_plan_says_what_is_learnt_from(tab: Any, project: Any) -> None:
    project.done()
    tab.refresh()
    assert "1 cells in 1 done images; a quarter of each is kept apart" in tab.plan.text()
    assert tab.name.text() == f"{tab.start.currentData()}-my-work"
    assert tab.run_button.isEnabled()
    tab.name.setText("no/slash")
    assert "Give the model a name" in tab.plan.text()
    assert not tab.run_button.isEnabled()
    tab.name.setText(tab.start.currentData())
    assert "already: choose another name" in tab.plan.text()


@pytest.fixture
def running(tab: Any, project: Any, trainer: FakeClient) -> Any:
    project.done()
    tab.refresh()
    tab.name.setText("ours")
    tab.run_button.click()
    trainer.wait_for_job()
    return tab


def test_a_run_from_start_to_use(
    running: Any, trainer: FakeClient, dock: Any, project: Any, qtbot: Any
) -> None:
    (job,) = trainer.jobs
    assert isinstance(job, FineTuneJob)
    assert job.name == "ours"
    assert job.effort == "quick"
    assert job.project == project.session.project.folder
    assert job.folder.parent == job.project / "runs"
    assert running.run_button.isHidden()
    job.folder.mkdir(parents=True)
    (job.folder / "curve.csv").write_text(CURVE)
    trainer.say(ProgressMessage(1, "training, step 50 of 300", 0.17, 100.0))
    trainer.say(NoticeMessage(1, 'step 50: {"score": 0.31}'))
    qtbot.wait(20)
    assert "Training, step 50 of 300 · about 2 min left" in running.stage.text()
    assert running.bar.value() == 170
    assert len(running.curve._rows) == 2
    trainer.say(FinishedMessage(1, TrainedModel("ours", 0.2, 0.31, 300)))
    qtbot.waitUntil(lambda: "score 0.200 before, 0.310 now" in running.message.text())
    assert not running.use_button.isHidden()
    asked: list[str] = []
    running.use_asked.connect(asked.append)
    running.use_button.click()
    assert asked == ["ours"]
    assert dock.tabs.currentWidget() is dock.segment


def test_no_better_is_said(running: Any, trainer: FakeClient, qtbot: Any) -> None:
    trainer.say(FinishedMessage(1, TrainedModel(None, 0.3, 0.3, 200)))
    qtbot.waitUntil(lambda: "no better than before" in running.message.text())
    assert running.use_button.isHidden()
    assert not running.run_button.isHidden()


def test_stop_and_keep_the_best_asks_the_run(running: Any, trainer: FakeClient) -> None:
    running.stop_button.click()
    assert (trainer.jobs[0].folder / STOP_FILE).exists()
    assert not running.stop_button.isEnabled()


def test_cancel_and_failure_are_told(running: Any, trainer: FakeClient, qtbot: Any) -> None:
    running.cancel_button.click()
    assert trainer.handles[0].was_cancelled
    trainer.say(CancelledMessage(1))
    qtbot.waitUntil(lambda: running.message.text() == "Cancelled; nothing was added.")
    running.run_button.click()
    trainer.wait_for_job()
    trainer.say(FailedMessage(1, "The disk is full."))
    qtbot.waitUntil(lambda: running.message.text() == "The disk is full.")
    assert running.run_button.isEnabled()


def test_the_curve_is_drawn(qtbot: Any, tmp_path: Path) -> None:
    assert read_curve(tmp_path / "none.csv") == []
    (tmp_path / "curve.csv").write_text(CURVE)
    rows = read_curve(tmp_path / "curve.csv")
    assert rows[0] == {"step": 0, "score": 0.2}
    plot = CurvePlot()
    qtbot.addWidget(plot)
    plot.resize(300, 150)
    empty = plot.grab().toImage()
    plot.show_rows(rows, 300)
    assert plot.grab().toImage() != empty
