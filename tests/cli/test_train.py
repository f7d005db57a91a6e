"""`train`: a few steps on a handful of pictures, resumed, and a model that `segment` can use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cli_fakes import squares
from PIL import Image

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco
from napari_sartorius.zoo import ModelBundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

CONFIG = {
    "architecture": {
        "num_classes": 1,
        "trunk": {"name": "resnet18", "widths": [16, 16, 16, 16]},
        "pyramid": {"width": 8},
        "box_head": {"width": 16, "layers": 1},
        "mask_head": {"width": 8, "layers": 1},
    },
    "crop": 64,
    "batch_size": 1,
    "steps": 2,
    "validate_every": 2,
    "checkpoint_every": 1,
    "device": "cpu",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four annotated pictures, two of them for validation."""
    images, instances = [], {}
    for number in (1, 2, 3, 4):
        picture = squares(5 + number)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        count = 5 + number
        origins = np.array([(4 + 8 * (i % 7), 4 + 8 * (i // 7)) for i in range(count)])
        masks = CropMasks.from_bitmaps([np.ones((4, 4), bool)] * count, origins, (64, 64))
        split = {"split": "train" if number < 3 else "val"}
        images.append(CocoImage(number, f"{number}.png", 64, 64, split))
        instances[number] = Instances.from_masks(masks)
    path = tmp_path / "annotations.json"
    write_coco(path, CocoDataset(images, [Category(1, "square")], dict(instances)))
    return path


@pytest.mark.slow
def test_train_resume_and_start_from_a_model(run: Run, data: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    out = tmp_path / "run"
    first = run("train", "--data", data, "--out", out, "--config", config)
    assert first.exit_code == 0, first.output
    assert str(out / "model") in first.stdout
    bundle = ModelBundle.open(out / "model")
    assert bundle.card.category_names == ["square"]
    assert (out / "curve.csv").is_file()

    again = run("train", "--data", data, "--out", out, "--config", config)
    assert again.exit_code == 1
    assert "already holds a run" in again.stderr
    # Without --config a resumed run goes on with the configuration that it began with.
    resumed = run("train", "--data", data, "--out", out, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "resumed at step 2 of 2" in resumed.stderr

    started = run(
        "train",
        "--data",
        data,
        "--out",
        tmp_path / "b",
        "--config",
        config,
        "--init",
        out / "model",
    )
    assert started.exit_code == 0, started.output
    assert ModelBundle.open(tmp_path / "b" / "model").card.parent == str(out / "model")

    picture = data.parent / "1.png"
    used = run(
        "segment", picture, "-o", tmp_path / "s", "--model", out / "model", "--device", "cpu"
    )
    assert used.exit_code == 0, used.output
    assert (tmp_path / "s" / "instances.json").is_file()
