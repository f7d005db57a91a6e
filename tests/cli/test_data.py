"""`data check|convert|split|stats` on generated pictures, and `train` on label pairs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from annotated_discs import dataset_of_masks, disc, discs
from napari_sartorius.io.coco import read_coco, write_coco
from napari_sartorius.io.exporting import export_dataset
from napari_sartorius.io.sources import read_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six pictures, the first with a hollow and a doubled mask."""
    folder = tmp_path / "data"
    folder.mkdir()
    ring = disc(46, 46, 9) & ~disc(46, 46, 5)
    frames = [[disc(16, 16, 8), ring, disc(16, 16, 8)], *[discs()] * 5]
    groups = [{"dish": n // 2} for n in range(6)]
    path = folder / "cells.json"
    write_coco(path, dataset_of_masks(folder, frames, groups))
    return path


def test_check_tells_and_repairs(run: Run, data: Path, tmp_path: Path) -> None:
    done = run("data", "check", data)
    assert done.exit_code == 0, done.output
    assert "warning: 0.png: 1 doubled mask (annotation 102); one cell drawn twice" in done.stdout
    assert done.stdout.splitlines()[-1] == "6 images with 33 objects: 2 warnings"
    assert run("data", "check", data, "--strict").exit_code == 1

    found = json.loads(run("data", "check", data, "--json").stdout)
    assert (found["errors"], found["warnings"]) == (0, 2)
    assert found["findings"][0]["kind"] == "doubled"
    assert found["findings"][0]["annotations"] == [102]

    out = tmp_path / "fixed" / "cells.json"
    options = ("--fix", out, "--fill-holes", "--report", tmp_path / "page")
    done = run("data", "check", data, *options)
    assert done.exit_code == 0, done.output
    assert "fixed: 1 mask hollow, filled" in done.stdout
    assert "fixed: 1 mask doubled, dropped" in done.stdout
    assert (tmp_path / "page" / "hollow_1.png").is_file()
    again = run("data", "check", out)  # in another folder, and it still finds its images
    assert again.stdout == "6 images with 32 objects: all well\n"
    assert run("data", "check", data, "--fill-holes").exit_code == 1


def test_check_fails_on_errors_and_drops_what_cannot_be_read(
    run: Run, data: Path, tmp_path: Path
) -> None:
    content = json.loads(data.read_text())
    content["annotations"][-1]["image_id"] = 99
    data.write_text(json.dumps(content))
    out = data.with_name("fixed.json")
    done = run("data", "check", data, "--fix", out)
    assert done.exit_code == 1
    assert "error: annotation 605 points to image_id 99" in done.stdout
    assert "fixed: dropped 1 record that cannot be used" in done.stdout
    assert read_coco(out).object_count == 31
    limits = tmp_path / "limits.json"
    limits.write_text('{"hollow_share": 0.9, "doubled_iou": 1.0}')
    assert run("data", "check", out, "--config", limits).stdout.endswith("all well\n")
    limits.write_text('{"hollow": 1}')
    done = run("data", "check", out, "--config", limits)
    assert "holds no limits of the check (hollow:" in done.stderr


def test_convert_there_and_back(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("data", "convert", data, "--out", out, "--format", "dsb,train-csv,labels,livecell")
    assert done.exit_code == 0, done.output
    assert "33 objects of 6 images" in done.stdout
    assert read_dataset(out / "dsb").object_count == 33
    assert read_dataset(out / "train.csv").object_count == 33
    back = run("data", "convert", out / "dsb", "--out", tmp_path / "back" / "cells.json")
    assert back.exit_code == 0, back.output
    again = read_coco(tmp_path / "back" / "cells.json")
    assert again.object_count == 33
    assert all(again.image_path(image).is_file() for image in again.images)
    wrong = run("data", "convert", data, "--out", tmp_path / "a.json", "--format", "dsb")
    assert "holds COCO only" in wrong.stderr


def test_split_and_folds(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.json"
    done = run("data", "split", data, "--out", out, "--group", "dish", "--share", "0.3")
    assert done.exit_code == 0, done.output
    assert "split train: 4 images" in done.stdout
    assert "split val: 2 images" in done.stdout
    split = read_coco(out)
    assert len({image.extra["dish"] for image in split.split("val").images}) == 1
    assert run("data", "split", data, "--out", out, "--folds", 3).exit_code == 0
    assert {image.extra["fold"] for image in read_coco(out).images} == {0, 1, 2}
    wrong = run("data", "split", data, "--out", out, "--group", "plate")
    assert "no image has the field 'plate'" in wrong.stderr


def test_stats(run: Run, data: Path) -> None:
    done = run("data", "stats", data)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("6 images, 33 objects\nsizes: 64 x 64: 6\n")
    found = json.loads(run("data", "stats", data, "--json").stdout)
    pixels = np.stack([np.asarray(Image.open(data.with_name(f"{n}.png"))) for n in range(6)])
    assert found["intensity"]["mean"] == pytest.approx(pixels.mean(), abs=1e-3)
    assert found["intensity"]["std"] == pytest.approx(pixels.std(), abs=1e-3)
    (row,) = found["categories"]
    assert (row["cells"], row["fewest"], row["most"]) == (33, 3, 6)
    assert row["area_p50"] == disc(20, 20, 6).sum()
    assert row["cells_per_megapixel"] == pytest.approx(33 / (6 * 64 * 64) * 1e6, abs=0.1)


def test_training_takes_label_pairs_and_hears_the_doctor(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    export_dataset(dataset_of_masks(folder, [[np.ones((64, 64), bool)]] * 5), folder, ["labels"])
    done = run("train", "--data", folder, "--out", tmp_path / "run")
    assert done.exit_code == 1
    assert "one object covers 100% of the image" in done.stderr
    assert "4 more: see `napari-sartorius data check`" in done.stderr
    assert not (tmp_path / "run").exists()
