"""Shape features against scikit-image, and where scikit-image has nothing to say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.shape_features import SHAPE_FEATURES, shape_features


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_equals_regionprops(seed: int) -> None:
    random = np.random.default_rng(seed)
    stack = random.random((4, 17, 23)) < random.random((4, 1, 1))
    stack[:, 5, 7:9] = True
    found = shape_features(CropMasks.from_full(stack))
    for i, mask in enumerate(stack):
        region = regionprops(mask.astype(np.uint8))[0]
        expected = [
            region.area,
            region.axis_major_length,
            region.axis_minor_length,
            region.axis_minor_length / region.axis_major_length,
            region.solidity,
            region.extent,
            *region.moments_hu,
        ]
        values = [found[name][i] for name in SHAPE_FEATURES]
        np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12)


def test_tells_mirror_images_apart_and_nothing_else() -> None:
    hook = np.zeros((1, 40, 40), np.bool_)
    hook[0, 4:20, 5:8] = hook[0, 17:20, 5:17] = hook[0, 12:17, 14:17] = True
    masks = CropMasks.from_full(hook)
    turned = CropMasks.from_full(np.rot90(hook, axes=(1, 2)))
    mirrored = masks.flip_horizontal()
    here, there, back = (shape_features(m) for m in (masks, turned, mirrored))
    for name in SHAPE_FEATURES:
        assert there[name][0] == pytest.approx(here[name][0], rel=1e-9)
        sign = -1 if name == "hu_6" else 1
        assert back[name][0] == pytest.approx(sign * here[name][0], rel=1e-9)
    assert abs(here["hu_6"][0]) > 1e-6


def test_one_pixel_nothing_and_no_masks() -> None:
    stack = np.zeros((2, 5, 5), np.bool_)
    stack[0, 2, 3] = True
    found = shape_features(CropMasks.from_full(stack))
    assert {name: found[name][0] for name in SHAPE_FEATURES[:7]} == {
        "area": 1,
        "major_axis": 0,
        "minor_axis": 0,
        "axis_ratio": 1,
        "solidity": 1,
        "extent": 1,
        "hu_0": 0,
    }
    assert found["area"][1] == 0
    assert all(np.isnan(found[name][1]) for name in SHAPE_FEATURES[1:])
    nothing = shape_features(CropMasks.empty((5, 5)))
    assert [len(nothing[name]) for name in SHAPE_FEATURES] == [0] * len(SHAPE_FEATURES)
