"""A run that was killed goes on with the very numbers of one that was not."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_anywhere_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    program = Path(__file__).parents[1] / "killed_runs.py"
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    steps = [int(line.split()[-1]) for line in done.stdout.splitlines()]
    assert steps == [0, 0, 2, 2, 3, 4, 4]
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    for name in ("last.pt", "best.pt"):
        _same(torch.load(whole / name), torch.load(killed / name))
    assert _curve(whole) == _curve(killed)
    assert len(_curve(whole)) == 3
    # Nothing is left of what was being written.
    assert sorted(p.name for p in killed.iterdir()) == sorted(p.name for p in whole.iterdir())


def _same(one: Any, other: Any, name: str = "") -> None:
    """Every number, to the bit; but for seconds."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), name
    elif isinstance(one, dict):
        assert list(one) == list(other), name
        for key in one:
            if "seconds" not in str(key):
                _same(one[key], other[key], f"{name}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), name
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            _same(a, b, f"{name}/{i}")
    else:
        assert one == other, name


def _curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if k != "seconds_per_step"} for row in rows]
