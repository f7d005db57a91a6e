"""A first look at crop masks against pycocotools."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco

from napari_sartorius.core.masks import CropMasks


def test_codes_equal_pycocotools() -> None:
    stack = np.random.default_rng(0).random((20, 30, 40)) < 0.3
    masks = CropMasks.from_full(stack)
    codes = masks.to_rle()
    expected = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in stack]
    assert [c["counts"] for c in codes] == [e["counts"].decode() for e in expected]
    back = CropMasks.from_rle(codes, (30, 40))
    assert all(np.array_equal(back.full(i), stack[i]) for i in range(20))
