"""A model that needs no weights, and images on which its answer is known."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner, Result

from napari_sartorius.nn.config import MaskRCNNConfig
from napari_sartorius.zoo import CategoryCard, ModelCard

sys.path.insert(0, str(Path(__file__).parent))

from cli_fakes import ThresholdSegmenter, squares

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """The card of a model named "squares", installed where models are looked for."""
    weights = b"no weights"
    card = ModelCard(
        name="squares",
        title="Bright squares",
        description="Finds bright squares on dark ground.",
        categories=(
            CategoryCard(name="round", colour="#e69f00"),
            CategoryCard(name="flat", colour="#56b4e9"),
        ),
        cell_diameter=4.0,
        architecture=MaskRCNNConfig(num_classes=2),
        licence="CC0-1.0",
        training_data="none",
        metrics={"competition_map": 0.5},
        known_failures=("dark squares",),
        sha256=hashlib.sha256(weights).hexdigest(),
    )
    folder = tmp_path / "models" / "squares"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(card.model_dump_json())
    (folder / "weights.safetensors").write_bytes(weights)
    monkeypatch.setenv("SARTORIUS_MODELS", str(folder.parent))
    return card


@pytest.fixture
def segmenter(model: ModelCard, monkeypatch: pytest.MonkeyPatch) -> ThresholdSegmenter:
    """The segmenter that the command will get for the model "squares"."""
    fake = ThresholdSegmenter()
    monkeypatch.setattr(
        "napari_sartorius.engine.batch.segment_files.open_segmenter", lambda bundle, config: fake
    )
    return fake


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with three images of 1, 2 and 3 cells and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in (1, 2, 3):
        Image.fromarray(squares(number)).save(folder / f"field{number}.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A time series with 2, 0 and 5 cells, pixel size 0.5 um."""
    path = tmp_path / "series.ome.tif"
    planes = np.stack([squares(2), squares(0), squares(5)])
    planes[1, 0, 0] = 11
    tifffile.imwrite(
        path,
        planes,
        ome=True,
        metadata={
            "axes": "TYX",
            "PhysicalSizeX": 0.5,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": 0.5,
            "PhysicalSizeYUnit": "µm",
        },
    )
    return path


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run the program with arguments as a terminal user would."""
    from napari_sartorius.cli.main import app

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke
