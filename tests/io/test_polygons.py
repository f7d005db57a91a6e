"""Polygons become the very pixels that pycocotools makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco_segmentation import decode_segmentations

# numpy complains about how pycocotools hands over its arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_HEIGHT, _WIDTH = 37, 23
_COORDINATES = st.one_of(
    st.integers(-12, 50).map(float),
    st.integers(-120, 500).map(lambda n: n / 10),
    st.floats(-12, 50, width=32),
)
_POLYGON = st.lists(_COORDINATES, min_size=6, max_size=24).map(lambda v: v[: len(v) // 2 * 2])
_OBJECT = st.lists(_POLYGON, min_size=1, max_size=3)


@settings(max_examples=150)
@given(st.lists(_OBJECT, min_size=1, max_size=4))
def test_same_pixels_as_pycocotools(objects: list[list[list[float]]]) -> None:
    masks = decode_segmentations(objects, ["a"] * len(objects), (_HEIGHT, _WIDTH))
    assert len(masks) == len(objects)
    for i, polygons in enumerate(objects):
        codes = coco_mask.frPyObjects(polygons, _HEIGHT, _WIDTH)
        expected = coco_mask.decode(coco_mask.merge(codes)).astype(bool)
        np.testing.assert_array_equal(masks.full(i), expected)


def test_smooth_outlines_on_a_large_image() -> None:
    random = np.random.default_rng(3)
    height, width = 520, 704
    objects = []
    for _ in range(200):
        angle = np.linspace(0, 2 * np.pi, random.integers(5, 60), endpoint=False)
        radius = random.uniform(3, 60) * random.uniform(0.6, 1, len(angle))
        x = random.uniform(0, width) + radius * np.cos(angle)
        y = random.uniform(0, height) + radius * np.sin(angle)
        objects.append([np.stack([x, y], 1).ravel().round(2).tolist()])
    masks = decode_segmentations(objects, ["a"] * len(objects), (height, width))
    for i, polygons in enumerate(objects):
        expected = coco_mask.decode(coco_mask.frPyObjects(polygons, height, width))[..., 0]
        np.testing.assert_array_equal(masks.full(i), expected.astype(bool))


def test_rle_and_polygons_mix() -> None:
    square = [[2, 2, 8, 2, 8, 8, 2, 8]]
    full = np.zeros((_HEIGHT, _WIDTH), np.uint8, order="F")
    full[5:9, 3:7] = 1
    code = coco_mask.encode(full)
    compressed = {"size": code["size"], "counts": code["counts"].decode()}
    first = 3 * _HEIGHT + 5
    runs = [first, 4, _HEIGHT - 4, 4, _HEIGHT - 4, 4, _HEIGHT - 4, 4]
    listed = {"size": [_HEIGHT, _WIDTH], "counts": [*runs, _HEIGHT * _WIDTH - sum(runs)]}
    masks = decode_segmentations(
        [compressed, square, listed, square[0]], list("abcd"), (_HEIGHT, _WIDTH)
    )
    np.testing.assert_array_equal(masks.full(0), full.astype(bool))
    np.testing.assert_array_equal(masks.full(2), full.astype(bool))
    np.testing.assert_array_equal(masks.full(1), masks.full(3))
    assert masks.area().tolist() == [16, 36, 16, 36]


@pytest.mark.parametrize(
    "bad",
    [[[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]], [[1, 2, 3, "x", 5, 6]], [], None, [[1e300] * 6]],
)
def test_what_is_no_polygon_is_named(bad: object) -> None:
    good = [[2, 2, 8, 2, 8, 8]]
    with pytest.raises(UserError, match=r"^second\b.*check --fix` drop (it|the annotation)\.$"):
        decode_segmentations([good, bad], ["first", "second"], (20, 20))
