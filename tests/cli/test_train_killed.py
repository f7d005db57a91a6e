"""A training that is killed at any moment, again and again, ends as if nothing had happened."""

from __future__ import annotations

import csv
import json
import multiprocessing
import random
import sys
import time
from typing import TYPE_CHECKING

import pytest
import torch
from real_program import run_in_fork
from tiny_training import CONFIG, write_squares

from napari_sartorius.io.atomic import is_leftover

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and forking")

_LONGEST = 120.0


class Program:
    """Starts `train` in processes that have imported the heavy libraries already."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["napari_sartorius.training.run"])
        self._arguments, self.log = arguments, log

    def start(self) -> ForkServerProcess:
        process = self._context.Process(target=run_in_fork, args=(self._arguments, str(self.log)))
        process.start()
        return process

    def finish(self) -> int | None:
        process = self.start()
        process.join(_LONGEST)
        return process.exitcode

    def kill_when(self, ripe: Callable[[], bool]) -> bool:
        """Start, wait until `ripe`, SIGKILL; False when the program was done before that."""
        process = self.start()
        try:
            while process.exitcode is None and not _holds(ripe):
                time.sleep(0.0005)
        finally:
            process.kill()
            process.join(_LONGEST)
        return process.exitcode != 0


def _holds(ripe: Callable[[], bool]) -> bool:
    try:
        return ripe()
    except FileNotFoundError:  # gone between being listed and being looked at
        return False


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        del row["seconds_per_step"]
    return rows


def after_news_of(path: Path, seconds: float) -> Callable[[], bool]:
    """Give a question: is it that long since the file was replaced for the first time?"""
    stamps: dict[int, float] = {}

    def ripe() -> bool:
        stamps.setdefault(path.stat().st_mtime_ns if path.exists() else 0, time.monotonic())
        return len(stamps) > 1 and time.monotonic() - list(stamps.values())[1] >= seconds

    return ripe


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    data = write_squares(tmp_path)
    config = tmp_path / "config.json"
    # Validations fall between checkpoints, so that a resumed run owes them part of its means.
    rhythm = {"steps": 24, "checkpoint_every": 2, "validate_every": 5}
    config.write_text(json.dumps({**CONFIG, **rhythm, "warmup_steps": 2, "threads": 1}))
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    options = ["train", "--data", str(data), "--config", str(config), "--resume", "--out"]
    calm = Program([*options, str(whole)], tmp_path / "whole.log")
    assert calm.finish() == 0, calm.log.read_text()

    program = Program([*options, str(torn)], tmp_path / "torn.log")
    chance = random.Random(5)
    early = after_news_of(torn / "config.json", chance.uniform(0.0, 0.1))
    moments = [
        after_news_of(torn / "last.pt", chance.uniform(0.0, 0.2)),
        lambda: any(path.stat().st_size for path in torn.glob(".last.*.part.pt")),
        after_news_of(torn / "last.pt", chance.uniform(0.0, 0.2)),
    ]
    assert all(program.kill_when(ripe) for ripe in (early, *moments))
    # What a kill leaves behind is there more often than not; make sure of it.
    (torn / ".last.0123abcd.part.pt").write_bytes(b"half a checkpoint")
    assert program.finish() == 0, program.log.read_text()
    assert "resumed at step" in program.log.read_text()

    assert curve(torn) == curve(whole)
    assert len(curve(torn)) == 5
    one, two = (torch.load(f / "last.pt", weights_only=True) for f in (whole, torn))
    for part in ("network", "average"):
        assert one[part].keys() == two[part].keys()
        for name, value in one[part].items():
            torch.testing.assert_close(two[part][name], value, rtol=0, atol=0, msg=name)
    weights = [(f / "model" / "weights.safetensors").read_bytes() for f in (whole, torn)]
    assert weights[0] == weights[1]
    assert [path for path in torn.rglob("*") if is_leftover(path)] == []
