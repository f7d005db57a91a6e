"""Work in a thread: the latest one answers, in Qt's own thread, and every failure is a sentence."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.evaluate.in_background import InBackground


@pytest.fixture
def background(qtbot: Any) -> InBackground:
    return InBackground()


def test_answers_in_the_main_thread(background: InBackground, qtbot: Any) -> None:
    heard: list[Any] = []
    background.finished.connect(lambda value: heard.append((value, threading.current_thread())))
    background.progressed.connect(heard.append)

    def work(tell: Any) -> int:
        assert threading.current_thread() is not threading.main_thread()
        tell("half")
        return 3

    background.run(work)
    assert background.is_running
    qtbot.waitUntil(lambda: not background.is_running)
    assert heard == ["half", (3, threading.main_thread())]


def test_a_later_one_takes_the_place_of_an_earlier_one(
    background: InBackground, qtbot: Any
) -> None:
    go_on, ended = threading.Event(), threading.Event()
    heard: list[Any] = []
    background.finished.connect(heard.append)

    def slow(tell: Any) -> str:
        go_on.wait(5)
        try:
            tell("nobody listens")
        finally:
            ended.set()
        return "slow"

    background.run(slow)
    background.run(lambda tell: "quick")
    qtbot.waitUntil(lambda: heard == ["quick"])
    go_on.set()
    assert ended.wait(5)
    qtbot.wait(20)
    assert heard == ["quick"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("Choose another."), "Choose another."),
        (MemoryError(), "There is not enough memory for this comparison."),
        (KeyError("x"), "The comparison failed ('x'); the log tells more."),
    ],
)
def test_failures(background: InBackground, qtbot: Any, error: Exception, sentence: str) -> None:
    def work(tell: Any) -> None:
        raise error

    with qtbot.waitSignal(background.failed) as failed:
        background.run(work)
    assert failed.args == [sentence]
    assert not background.is_running
