"""What a log sees of a long run: a line now and then, and results alone on stdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.cli import console
from napari_sartorius.cli.console import ConsoleMonitor, duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli_fakes import ThresholdSegmenter
    from typer.testing import Result


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run_for(seconds: float, capsys: pytest.CaptureFixture[str]) -> list[tuple[float, str]]:
    """Lines of an even run that reports every half second, with the time of each."""
    clock = Clock()
    lines = []
    with ConsoleMonitor(clock) as monitor:
        for clock.now in np.arange(0.0, seconds, 0.5).tolist():
            monitor.progress("a.png (2 of 3): network", clock.now / seconds)
            out, err = capsys.readouterr()
            assert out == ""
            lines += [(clock.now, line) for line in err.splitlines()]
    return lines


def test_a_short_run_says_nothing_in_between(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_for(9, capsys) == []


def test_a_line_for_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run_for(200, capsys)
    assert [time for time, _ in lines] == [20.0 * n for n in range(1, 10)]
    assert lines[4][1] == " 50%  a.png (2 of 3): network, 2 min left"


def test_not_more_often_than_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    times = [time for time, _ in run_for(30, capsys)]
    assert times == [10.0, 20.0]


def test_a_slow_run_gives_a_sign_of_life(capsys: pytest.CaptureFixture[str]) -> None:
    times = [time for time, _ in run_for(3600, capsys)]
    assert np.diff([0.0, *times]).max() == 60.0
    assert len(times) == 59


def test_notices_come_at_once_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    with ConsoleMonitor(Clock()) as monitor:
        for _ in range(2):
            monitor.notice("[a.png] has a very long name " + "x" * 200)
    assert capsys.readouterr().err == f"Note: [a.png] has a very long name {'x' * 200}\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (7.2, "7 s left"), (150.0, "2 min left"), (9000.0, "2.5 h left")],
)
def test_time_left_in_words(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_segment_prints_progress_beside_clean_json(
    run: Callable[..., Result],
    segmenter: ThresholdSegmenter,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(console.ConsoleMonitor.__init__, "__defaults__", (clock,))
    original = segmenter.segment

    def slowly(image: np.ndarray, **options: Any) -> object:
        clock.now += 30
        return original(image, **options)

    monkeypatch.setattr(segmenter, "segment", slowly)
    result = run("segment", pictures, "-o", tmp_path / "o", "--model", "squares", "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["images"]) == 3
    cost, *lines = result.stderr.splitlines()
    assert cost == "Balanced with squares: 2 looks, about 2 x the time of Fast."
    assert [line.split("looking")[0] for line in lines] == [
        " 17%  field1.png (1 of 3): ",
        " 50%  field2.png (2 of 3): ",
        " 83%  field3.png (3 of 3): ",
    ]
    assert lines[1].endswith("looking, 50 s left")
