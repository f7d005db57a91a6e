"""Recipes and fine-tuning in two processes: as one with twice the batch, and they end together."""

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
from torch import distributed

from led_runs import STEPS, by_recipe, fine_tuned, write_inputs
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.training.distributed import Group
from napari_sartorius.training.leading import by_the_first, current_lead, led
from napari_sartorius.training.place import Place
from napari_sartorius.training.recipes.processes import PROCESSES_FILE, processes_of
from napari_sartorius.training.recipes.reading import read_recipe
from napari_sartorius.training.recipes.settings import share_of, train_config
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
    assert _curve(tmp_path / "recipe" / "second")[-1]["step"] == 6  # twice six images
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


def test_alone_nothing_is_led() -> None:
    assert led(current_lead) is None

    @by_the_first
    def half(number: float) -> float:
        """Divide."""
        return number / 2

    assert (half(number=3), half.__doc__) == (1.5, "Divide.")
    with pytest.raises(ZeroDivisionError):
        led(lambda: 1 / 0)


def test_an_error_of_all_is_told_by_the_first() -> None:
    error = UserError("no memory")
    assert Group(Place(0, 2)).shared(error) is error
    assert isinstance(Group(Place(1, 2)).shared(error), Cancelled)


@pytest.mark.parametrize(
    ("torch_says", "match"),
    [
        (
            "[pair.cc:547] Connection closed by peer [127.0.0.1]:2345",
            "another process .* ended",
        ),
        ("Duplicate GPU detected : rank 0 and rank 1", "Duplicate GPU"),
        ("CUDA out of memory. Connection buffers", "CUDA out of memory"),
    ],
)
def test_a_process_that_is_gone_is_told_from_other_faults(
    monkeypatch: pytest.MonkeyPatch, torch_says: str, match: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(torch_says)

    monkeypatch.setattr(distributed, "all_reduce", fail)
    with pytest.raises((UserError, RuntimeError), match=match):
        Group(Place(0, 2)).any(True)


def test_an_epoch_is_shorter_for_more_processes() -> None:
    recipe = read_recipe("seed-4")
    stage = next(one for one in recipe.stages if one.kind == "train" and one.mix and one.epochs)
    alone = train_config(recipe, stage, 3, 480)
    four = train_config(recipe, stage, 3, 480, processes=4)
    assert (four.batch_size, four.steps) == (alone.batch_size, alone.steps // 4)
    # Further images are as many in each epoch.
    mixture = stage.mix[0]
    one, other = share_of(mixture, alone, 480, 900), share_of(mixture, four, 480, 900, 4)
    assert one is not None and other is not None
    assert [one(4 * step) for step in range(0, four.steps, 50)] == [
        other(step) for step in range(0, four.steps, 50)
    ]


def test_a_stage_keeps_the_number_of_processes_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(count: int) -> None:
        monkeypatch.setenv("RANK", "0")
        monkeypatch.setenv("WORLD_SIZE", str(count))

    assert processes_of(tmp_path / "new") == 1
    assert not (tmp_path / "new").exists()
    start(4)
    assert processes_of(tmp_path) == 4
    start(2)
    assert processes_of(tmp_path) == 2  # nothing was learnt yet
    (tmp_path / "last.pt").touch()
    start(1)
    assert processes_of(tmp_path) == 2
    (tmp_path / PROCESSES_FILE).write_text("many")
    with pytest.raises(UserError, match="is damaged"):
        processes_of(tmp_path)
    (tmp_path / PROCESSES_FILE).unlink()
    start(4)
    assert processes_of(tmp_path) == 1  # begun alone


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
