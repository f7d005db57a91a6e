"""Killed in the middle of an export: every file that has its name is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_sartorius
from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import is_leftover, remove_leftovers
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco
from napari_sartorius.io.dsb import is_dsb_folder
from napari_sartorius.io.importing import images_in, read_annotations
from napari_sartorius.io.table_csv import read_table

SHAPE = (150, 200)
CELLS = 6 * 8
TEXTS = {"annotations.json", "submission.csv", "train.csv"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    full = np.stack(
        [
            np.hypot(y - cy, x - cx) < 9
            for cy in range(12, SHAPE[0] - 9, 25)
            for cx in range(12, SHAPE[1] - 9, 25)
        ]
    )
    cells = Instances.from_masks(CropMasks.from_full(full))
    images = []
    for n in range(2):
        Image.fromarray(np.full(SHAPE, 40 * n, np.uint8)).save(folder / f"field_{n}.png")
        images.append(CocoImage(n + 1, f"field_{n}.png", SHAPE[1], SHAPE[0]))
    kinds = [Category(1, "neuron")]
    found = {image.id: cells for image in images}
    write_coco(folder / "cells.json", CocoDataset(images, kinds, found, {}, folder))
    return folder / "cells.json"


@pytest.mark.parametrize("moment", range(3))
def test_what_has_its_name_is_whole(source: Path, tmp_path: Path, moment: int) -> None:
    folder = tmp_path / "out"
    script = Path(__file__).with_name("exports_of.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(source), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(napari_sartorius.__file__).parents[1])},
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first == "1\n"
        time.sleep(0.02 + 0.17 * moment)
        process.kill()

    known = images_in(source.parent)
    seen = set()
    for path in sorted(folder.iterdir()):
        if is_leftover(path):
            continue
        seen.add(path.name)
        if path.suffix == ".csv" and path.name not in TEXTS:
            assert len(read_table(path)["index"]) == CELLS
        elif path.name != "dsb" or is_dsb_folder(path):
            back = read_annotations(path, known.images, source.parent)
            assert all(len(back.instances[image.id]) == CELLS for image in back.images)
    # after a round everything is there, but for the folder that a round begins by removing
    assert len(seen - {"dsb"}) == 3 + 4 * 2
    remove_leftovers(folder)
    assert not [path for path in folder.iterdir() if is_leftover(path)]
