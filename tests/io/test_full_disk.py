"""Whatever is written, a full or read-only disk gives one sentence and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco, write_coco_results
from napari_sartorius.io.dsb import write_dsb
from napari_sartorius.io.geojson import write_geojson
from napari_sartorius.io.imagej_rois import write_rois
from napari_sartorius.io.kaggle import write_train_csv
from napari_sartorius.io.labels_tiff import write_labels
from napari_sartorius.io.overlay import write_overlay
from napari_sartorius.io.submission import write_submission
from napari_sartorius.io.table_csv import write_instances_csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sartorius.core.instances import Instances


def _writers(instances: Instances) -> dict[str, Callable[[Path], None]]:
    dataset = CocoDataset(
        [CocoImage(1, "a.png", 50, 30)], categories_from_names(["a", "b"]), {1: instances}
    )
    empty = CocoDataset([], [], {})
    return {
        "out.json": lambda path: write_coco(path, dataset),
        "results.json": lambda path: write_coco_results(path, dataset),
        "labels.tif": lambda path: write_labels(path, instances.to_labels()[0]),
        "table.csv": lambda path: write_instances_csv(path, instances),
        "overlay.png": lambda path: write_overlay(path, np.eye(30, 50), instances),
        "submission.csv": lambda path: write_submission(path, {"a": instances}),
        "train.csv": lambda path: write_train_csv(path, dataset),
        "polygons.json": lambda path: write_coco(path, dataset, shape="polygons"),
        "rois.zip": lambda path: write_rois(path, instances, dataset.categories),
        "cells.geojson": lambda path: write_geojson(path, instances, dataset.categories),
        "folder": lambda path: write_dsb(path, empty),
    }


_NAMES = [
    "out.json",
    "results.json",
    "labels.tif",
    "table.csv",
    "overlay.png",
    "submission.csv",
    "train.csv",
    "polygons.json",
    "rois.zip",
    "cells.geojson",
    "folder",
]


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")]
)
def test_nothing_is_left_behind(
    tmp_path: Path,
    overlapping: Instances,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: int,
    words: str,
) -> None:
    def fail(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match=words) as caught:
        _writers(overlapping)[name](tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", _NAMES)
def test_the_same_writers_work_otherwise(tmp_path: Path, overlapping: Instances, name: str) -> None:
    _writers(overlapping)[name](tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("name", ["out.json", "labels.tif", "rois.zip", "cells.geojson"])
def test_a_disk_that_is_full_in_the_middle_of_a_file(
    tmp_path: Path, overlapping: Instances, name: str
) -> None:
    """A real limit of this process, reached while the bytes are written: the old file stays."""
    import resource
    import signal

    write = _writers(overlapping)[name]
    write(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
        with pytest.raises(UserError, match="disk is full"):
            write(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]
