"""The segmenter and the package's own networks fit together, in both precisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PoolerConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.zoo.bundle import ModelBundle, save_bundle
from napari_sartorius.zoo.card import CategoryCard, ModelCard, Thresholds

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (130, 180)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A tiny network with random weights that finds something everywhere."""
    architecture = MaskRCNNConfig(
        num_classes=2,
        trunk=TrunkConfig(widths=(16, 16, 16, 16)),
        pyramid=PyramidConfig(width=16),
        box_head=BoxHeadConfig(pooler=PoolerConfig(resolution=7), layers=1, width=32),
        mask_head=MaskHeadConfig(pooler=PoolerConfig(resolution=14), layers=1, width=16),
    )
    card = ModelCard(
        name="random",
        title="Random weights",
        description="For tests.",
        categories=(
            CategoryCard(name="a", colour="#ff0000"),
            CategoryCard(name="b", colour="#00ff00"),
        ),
        cell_diameter=20.0,
        architecture=architecture,
        thresholds={n: Thresholds(score=0.2, min_size=1) for n in "ab"},
        licence="none",
        training_data="none",
    )
    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("models") / "random"
    return save_bundle(folder, card, build_network(architecture).state_dict())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("tile", ["off", 128])
def test_end_to_end(bundle: ModelBundle, precision: str, tile: str | int) -> None:
    image = np.random.default_rng(0).integers(0, 255, SIZE, np.uint8)
    config = SegmentConfig.model_validate(
        {"device": "cpu", "precision": precision, "tile": tile, "max_objects_per_tile": 60}
    )
    segmenter = Segmenter(bundle, config)
    result = segmenter.segment(image)
    assert result.precision == precision
    assert (result.tiles > 1) == (tile != "off")
    found = result.instances
    assert len(found) > 0
    assert found.image_size == SIZE
    assert len(found.masks.overlaps()[0]) == 0
    assert (found.masks.area() > 0).all()
    assert ((found.scores >= 0.2) & (found.scores <= 1)).all()
    again = segmenter.segment(image).instances
    np.testing.assert_array_equal(again.masks.bits, found.masks.bits)
    np.testing.assert_array_equal(again.scores, found.scores)
