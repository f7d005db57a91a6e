"""What lacks its counterpart is told by every verb on data, in one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annotated_discs import dataset_of_masks, discs, write_picture
from napari_sartorius.io.coco import write_coco
from napari_sartorius.io.exporting import export_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

VERBS = {
    "convert": ("data", "convert", "--out", "cells.json"),
    "split": ("data", "split", "--out", "split.json"),
    "stats": ("data", "stats"),
    "export": ("export", "--out", "out", "--format", "geojson"),
}
TOLD = (
    "Note: left out 4 images without labels (x0.png, x1.png, x2.png and 1 more) and 1 set of "
    "labels without an image (gone_labels.tif); see `napari-sartorius data check`"
)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    export_dataset(dataset_of_masks(folder, [discs()] * 6), folder, ["labels"])
    (folder / "5_labels.tif").rename(folder / "gone_labels.tif")
    (folder / "5.png").unlink()
    for n in range(4):
        write_picture(folder / f"x{n}.png", n)
    return folder


@pytest.mark.parametrize("verb", list(VERBS))
def test_images_and_labels_without_counterpart(
    run: Run, pairs: Path, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*VERBS[verb], pairs)
    assert done.exit_code == 0, done.output
    assert TOLD in done.stderr.splitlines()
    assert "left out" not in done.stdout


@pytest.mark.parametrize("verb", list(VERBS))
def test_missing_image_files(
    run: Run, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_coco("data.json", dataset_of_masks(tmp_path, [discs()] * 6))
    assert "missing" not in run(*VERBS[verb], "data.json").stderr
    (tmp_path / "3.png").unlink()
    done = run(*VERBS[verb], "data.json")
    assert done.exit_code == 0, done.output
    assert "Note: missing: 1 image file (3.png); see" in done.stderr


def test_statistics_list_them_for_programs(run: Run, pairs: Path) -> None:
    found = json.loads(run("data", "stats", pairs, "--json").stdout)
    assert found["left_out"] == {
        "images_without_labels": ["x0.png", "x1.png", "x2.png", "x3.png"],
        "labels_without_image": ["gone_labels.tif"],
        "missing_files": [],
    }


def test_a_classifier_tells_them_before_it_learns(run: Run, pairs: Path, tmp_path: Path) -> None:
    done = run("train-classifier", "--data", pairs, "--out", tmp_path / "run")
    assert done.exit_code == 1  # a single type
    assert TOLD in done.stderr.splitlines()
