"""Closing napari during a run is asked first, and never leaves a worker behind."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_sartorius.ui import close_guard
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.settings import Preferences


@pytest.fixture
def answers(monkeypatch):
    """What the user answers; the list of questions asked so far."""
    given = {"close": False, "asked": 0}

    def ask(window, question):
        given["asked"] += 1
        given["question"] = question
        return given["close"]

    monkeypatch.setattr(close_guard, "ask", ask)
    return given


@pytest.fixture
def running(window, docked, client):
    """A window on screen with a run going on."""
    window.window._qt_window.show()
    window.add_image(np.zeros((20, 20)))
    docked.segment.run()
    client.wait_for_job()


@pytest.fixture
def try_to_close(window, monkeypatch):
    """Close the window as its button and the menu do; says whether napari was asked to close.

    The window stays: only napari's own `viewer.close` can clean up after itself.
    """

    def attempt():
        reached = []

        def refuse(self, event):
            reached.append(event)
            event.ignore()

        main = window.window._qt_window
        with monkeypatch.context() as patched:
            patched.setattr(type(main), "closeEvent", refuse)
            main.close()
        return bool(reached)

    return attempt


def test_keep_running_keeps_the_window_and_the_run(running, docked, client, answers, try_to_close):
    assert not try_to_close()
    assert answers["asked"] == 1
    assert docked.bridge.is_running
    assert client.closed == 0


def test_stop_and_close_closes(running, answers, try_to_close):
    answers["close"] = True
    assert try_to_close()
    assert answers["asked"] == 1


def test_run_goes_on_when_napari_itself_refuses_to_close(
    running, docked, client, answers, try_to_close, qtbot
):
    answers["close"] = True
    try_to_close()
    qtbot.wait(20)
    assert docked.bridge.is_running
    assert client.closed == 0


def test_without_a_run_nobody_asks(window, docked, answers, try_to_close):
    window.add_image(np.zeros((20, 20)))
    assert try_to_close()
    assert answers["asked"] == 0


def test_run_that_ended_is_not_asked_about(
    running, docked, client, answers, try_to_close, make_result, qtbot
):
    with qtbot.waitSignal(docked.bridge.finished):
        client.finish(make_result((20, 20), ()))
    qtbot.waitUntil(lambda: not docked.segment.would_lose_a_run())
    assert try_to_close()
    assert answers["asked"] == 0


def test_script_that_closes_the_viewer_is_not_asked_and_the_worker_ends(
    window, client, card_maker, answers, qtbot
):
    dock = SartoriusDock(window, client, [card_maker()], Preferences())
    window.window.add_dock_widget(dock)
    window.add_image(np.zeros((20, 20)))
    dock.segment.run()
    client.wait_for_job()
    window.close()
    qtbot.waitUntil(lambda: client.closed > 0)
    assert answers["asked"] == 0


def test_asks_while_the_dock_floats(running, docked, answers, try_to_close):
    docked.parent().setFloating(True)
    assert not try_to_close()
    assert answers["asked"] == 1
    docked.parent().setFloating(False)


def test_closed_dock_asks_nothing(running, window, docked, answers, try_to_close):
    window.window.remove_dock_widget(docked)
    assert try_to_close()
    assert answers["asked"] == 0


def test_quitting_ends_the_worker(running, client):
    QApplication.instance().aboutToQuit.emit()
    assert client.closed == 1


@pytest.mark.parametrize(("title", "close"), [("Stop and close", True), ("Keep running", False)])
def test_question_names_both_ways(qtbot, title, close):
    texts = []

    def answer():
        box = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox))
        texts.append(box.text())
        next(b for b in box.buttons() if b.text() == title).click()

    QTimer.singleShot(0, answer)
    assert close_guard.ask(None) is close
    assert texts == ["A segmentation is running; stop it and close?"]


@pytest.fixture
def training(window, docked, monkeypatch):
    """A window on screen with a training going on."""
    window.window._qt_window.show()
    monkeypatch.setattr(type(docked.others), "is_training", True)
    monkeypatch.setattr(type(docked.others.train), "has_checkpoint", True)


def test_a_training_is_asked_about_in_its_own_words(training, answers, try_to_close):
    assert not try_to_close()
    assert answers["question"] is close_guard.TRAINING
    answers["close"] = True
    assert try_to_close()


def test_script_that_closes_the_viewer_is_not_asked_about_a_training(
    window, client, card_maker, answers, monkeypatch
):
    dock = SartoriusDock(window, client, [card_maker()], Preferences())
    window.window.add_dock_widget(dock)
    window.window._qt_window.show()
    monkeypatch.setattr(type(dock.others), "is_training", True)
    window.close()
    assert answers["asked"] == 0
