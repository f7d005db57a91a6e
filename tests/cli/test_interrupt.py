"""Ctrl+C in the middle of a run: one sentence, exit code 130, and nothing lost or half written."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image
from real_program import start
from tiny_training import CONFIG, write_squares

from napari_sartorius.io.atomic import is_leftover
from napari_sartorius.io.coco import read_coco

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process"),
]

_LONGEST = 240.0


def interrupt_when(process: subprocess.Popen[str], ripe: Callable[[], bool]) -> str:
    """Send SIGINT at that moment, wait for the end, and give what was said on stderr."""
    began = time.monotonic()
    while process.poll() is None and not ripe() and time.monotonic() - began < _LONGEST:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=_LONGEST)
    with pytest.raises(ProcessLookupError):  # nobody of its session is left behind
        os.killpg(process.pid, 0)
    return said


def test_segment(tmp_path: Path) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(rng.integers(0, 255, (48, 48), np.uint8)).save(pictures / f"{number}.png")
    options = ("segment", pictures, "-o", out, "--model", "nuclei", "--preset", "fast")
    options = (*options, "--device", "cpu", "--resume")
    records = out / ".sartorius-run" / "images"

    process = start(*options)
    said = interrupt_when(process, lambda: len(list(records.glob("[!.]*.json"))) >= 2)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("Stopped: what was finished is kept")
    assert "--resume" in said
    assert "Traceback" not in said

    finished = sorted(path.stem for path in records.iterdir())
    assert 2 <= len(finished) < 20
    assert [path for path in out.rglob("*") if is_leftover(path)] == []
    ends = ("labels.tif", "objects.csv", "overlay.png")
    whole = sorted(f"{stem}_{end}" for stem in finished for end in ends)
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == whole
    for stem in finished:
        assert tifffile.imread(out / f"{stem}_labels.tif").shape == (48, 48)
        Image.open(out / f"{stem}_overlay.png").load()

    again = start(*options, "--json")
    told, said = again.communicate(timeout=_LONGEST)
    assert again.returncode == 0, said
    summary = json.loads(told)
    assert sorted(summary["skipped"]) == sorted(f"{stem}.png" for stem in finished)
    assert len(summary["images"]) == len(read_coco(out / "instances.json")) == 20


def test_train(tmp_path: Path) -> None:
    data, config, out = write_squares(tmp_path), tmp_path / "config.json", tmp_path / "run"
    config.write_text(json.dumps({**CONFIG, "steps": 100_000, "validate_every": 1000}))
    process = start("train", "--data", data, "--config", config, "--out", out)
    said = interrupt_when(process, (out / "last.pt").exists)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("Stopped: run the same command with --resume")
    assert "Traceback" not in said
    assert [path for path in out.rglob("*") if is_leftover(path)] == []
