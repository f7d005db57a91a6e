"""Killing the process at any moment loses no edit that was reported as made."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_sartorius
from napari_sartorius.io.project import create_project, open_project

sys.path.insert(0, str(Path(__file__).parent))
from edits_of import SHAPE, edits


def _states(seed: int, count: int) -> list[np.ndarray]:
    """The three label images after so many edits."""
    images = [np.zeros(SHAPE, np.uint32) for _ in range(3)]
    for edit in islice(edits(seed), count):
        top, left, bottom, right = edit.box
        images[int(edit.image) - 1][top:bottom, left:right] = edit.values
    return images


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_process_loses_nothing(tmp_path: Path, seed: int) -> None:
    paths = []
    for n in range(3):
        paths.append(tmp_path / f"{n}.png")
        Image.fromarray(np.full(SHAPE, 40 * n + 9, np.uint8)).save(paths[-1])
    project = create_project(tmp_path / "work")
    project.add_files(paths)
    project.close()

    script = Path(__file__).with_name("edits_of.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(project.folder), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(napari_sartorius.__file__).parents[1])},
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first == "1\n"
        time.sleep(0.03 + 0.11 * seed)
        process.kill()
        promised = [1, *(int(line) for line in process.stdout.read().split("\n")[:-1])][-1]

    again = open_project(project.folder)
    assert again.read_only is None
    found = [again.plane(image.id).values for image in again.images]
    # the last edit may have reached the disk just before it could be reported
    matching = [
        count
        for count in (promised, promised + 1)
        if all(
            np.array_equal(one, other)
            for one, other in zip(found, _states(seed, count), strict=True)
        )
    ]
    assert matching, f"the state after {promised} edits was lost"
    assert not list(project.folder.glob(".*.part*"))
    again.save()
    again.close()
    last = open_project(project.folder)
    for image, values in zip(last.images, found, strict=True):
        np.testing.assert_array_equal(last.plane(image.id).values, values)
