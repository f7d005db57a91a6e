"""The segmenter and the package's own networks fit together, in both precisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.zoo import Thresholds
from tiny_models import save_tiny_bundle

if TYPE_CHECKING:
    from napari_sartorius.zoo import ModelBundle

SIZE = (130, 180)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """Random weights that find something everywhere."""
    some = {name: Thresholds(score=0.2, min_size=1) for name in ("big", "small")}
    return save_tiny_bundle(tmp_path_factory.mktemp("models") / "random", thresholds=some)


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
