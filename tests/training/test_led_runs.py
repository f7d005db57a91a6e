"""Recipes and fine-tuning in two processes: as in one with twice the batch, and they end together."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from led_runs import STEPS, by_recipe, fine_tuned, write_inputs
from napari_sartorius.core.progress import Monitor
from napari_sartorius.zoo import open_bundle
from typed_pictures import write_typed

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTS = Path(__file__).parents[1]


def _together(command: Sequence[str]) -> list[tuple[int, str]]:
    """Exit code and stderr of each of two processes that nobody watches, as torchrun would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            env=os.environ | common | {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    said = [process.communicate()[1] for process in processes]
    return [(one.returncode, text) for one, text in zip(processes, said, strict=True)]


def _curve(folder: Path) -> list[dict[str, float]]:
    with (folder / "curve.csv").open(newline="") as stream:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(stream)]


def _assert_same_run(one: Path, other: Path) -> None:
    ours, theirs = _curve(one), _curve(other)
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for row, wanted in zip(ours, theirs, strict=True):
        losses = {name: value for name, value in wanted.items() if name.startswith("loss_")}
        assert {name: row[name] for name in losses} == pytest.approx(losses, rel=1e-3)
    states = [torch.load(run / "last.pt", weights_only=True)["network"] for run in (one, other)]
    torch.testing.assert_close(*states, rtol=1e-3, atol=1e-4)


class Listener(Monitor):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot kill themselves there")
def test_two_processes_share_recipes_and_fine_tuning(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    (first, _), (second, words) = _together([str(TESTS / "led_runs.py"), str(tmp_path)])

    tuned = fine_tuned(tmp_path, "alone-finetuned", 2)
    _assert_same_run(tmp_path / "finetuned", tmp_path / "alone-finetuned")
    told = [(tmp_path / f"told-{rank}.txt").read_text().splitlines() for rank in (0, 1)]
    # Both get what came out, though the second one saw none of it.
    assert told[0][0] == told[1][0] == f"finetuned {tuned.after:.6f}"

    # Cancelled in its second training, and gone on with.
    assert [one[1:3] for one in told] == [["Cancelled", "recipe"]] * 2
    by_recipe(tmp_path, "alone-recipe", 2)
    for stage in ("first", "second"):
        _assert_same_run(tmp_path / "recipe" / stage, tmp_path / "alone-recipe" / stage)
    assert _curve(tmp_path / "recipe" / "second")[-1]["step"] == 6  # three times four images
    cards = [open_bundle(tmp_path / run / "model").card for run in ("recipe", "alone-recipe")]
    assert cards[0].metrics == pytest.approx(cards[1].metrics)

    # What goes wrong in the first process ends both, and it alone says what.
    assert told[0][3].startswith("UserError")
    assert told[1][3] == "Cancelled"

    # The first one was killed: the second one notices, and one process alone goes on.
    assert (first, second) == (-signal.SIGKILL, 1)
    assert "another process of this run has ended" in words
    listener = Listener()
    by_recipe(tmp_path, "killed", 1, listener)
    assert "second: resumed at step 1 of 6" in listener.notices
    assert len(_curve(tmp_path / "killed" / "first")) == STEPS


CLI = ["-c", "from napari_sartorius.cli.main import app; app()"]
RECIPE = """
title: Tiny
description: D
source: tests
stages: [{name: cells, kind: train}]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs libuv there")
def test_torchrun_runs_a_recipe(tmp_path: Path) -> None:
    write_typed(tmp_path / "data", ["astro", "cort"], 3)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    options = ["--recipe", str(tmp_path / "tiny.yaml"), "--trial", "--set", "device=cpu"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [
            *(sys.executable, *launcher, "--no-python", sys.executable, *CLI, "train"),
            *("--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), *options),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The trial went through") == 1
    assert open_bundle(tmp_path / "run" / "model").card.name == "run"
    assert [row["step"] for row in _curve(tmp_path / "run" / "cells")] == [2.0]


def test_an_error_of_the_first_process_is_said_once(tmp_path: Path) -> None:
    command = ["train", "--data", str(tmp_path / "none.json"), "--out", str(tmp_path / "run")]
    (first, words), (second, silence) = _together([*CLI, *command, "--recipe", "light"])
    assert (first, second) == (1, 0)
    assert words.count("Error: ") == 1
    assert "none.json" in words
    assert silence == ""
