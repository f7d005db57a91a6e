"""Lists of filters: each against a slow version of itself, and the list in its order."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from napari_sartorius.core.errors import MissingPackage
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess import (
    apply,
    drop_chopped,
    drop_overlapped,
    drop_smallest,
    fill_convex_polygons,
    keep_by_shape,
)
from napari_sartorius.postprocess import filter_config as fc
from napari_sartorius.postprocess.shape_filter import filters_from_table
from napari_sartorius.postprocess.shape_table import ShapeTable

NAMES = ("a", "b", "c")


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Instances, np.ndarray]:
    """Up to ten overlapping, frayed boxes on a small image, with ties in score."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 10))
    stack = np.zeros((count, 9, 11), np.bool_)
    for mask in stack:
        y, x = random.integers(0, 8, 2)
        h, w = random.integers(0, 6, 2)
        solid = random.random() < 0.7
        mask[y : y + h, x : x + w] = solid | (random.random((9, 11))[y : y + h, x : x + w] < 0.6)
    instances = Instances.from_masks(
        CropMasks.from_full(stack), random.integers(0, 5, count) / 4, random.integers(0, 3, count)
    )
    instances.columns["place"] = np.arange(count)
    return instances, stack


def best_first(instances: Instances) -> list[int]:
    return np.argsort(-instances.scores, kind="stable").tolist()


@given(scenes(), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_overlapped(scene: tuple[Instances, np.ndarray], most: float) -> None:
    instances, stack = scene
    taken, kept = np.zeros(stack.shape[1:], np.bool_), []
    for i in best_first(instances):
        limit = (most, most / 2, 1.0)[instances.categories[i]]
        if stack[i].any() and (stack[i] & taken).sum() <= limit * stack[i].sum():
            kept.append(i)
            taken |= stack[i]
    result = drop_overlapped(instances, (most, most / 2, 1.0))
    assert result.columns["place"].tolist() == sorted(kept)
    for i, place in enumerate(result.columns["place"].tolist()):
        np.testing.assert_array_equal(result.masks.full(i), stack[place])


@given(scenes(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_chopped(scene: tuple[Instances, np.ndarray], most: float) -> None:
    instances, stack = scene
    taken, kept = np.zeros(stack.shape[1:], np.bool_), {}
    for i in best_first(instances):
        rest = stack[i] & ~taken
        if rest.sum() < stack[i].sum():
            parts, count = ndimage.label(rest, np.ones((3, 3)))
            sizes = [(parts == k + 1).sum() for k in range(count)]
            rest = parts == 1 + int(np.argmax(sizes)) if sizes else rest
        if rest.any() and stack[i].sum() - rest.sum() <= most * stack[i].sum():
            kept[i] = rest
            taken |= rest
    result = drop_chopped(instances, most)
    assert result.columns["place"].tolist() == sorted(kept)
    for i, place in enumerate(result.columns["place"].tolist()):
        np.testing.assert_array_equal(result.masks.full(i), kept[place])


def test_pixels_of_a_dropped_object_stay_free() -> None:
    stack = np.zeros((3, 1, 20), np.bool_)
    stack[0, 0, :10], stack[1, 0, 2:13], stack[2, 0, 9:20] = True, True, True
    instances = Instances.from_masks(CropMasks.from_full(stack), [0.9, 0.8, 0.7])
    result = drop_chopped(instances, 0.5)
    # The middle one lost 8 of 11 pixels; what it had of the last one is the last one's again.
    assert result.masks.area().tolist() == [10, 10]


@pytest.mark.parametrize(
    ("limit", "left"), [(0, [3, 5, 5, 9]), (4, [5, 5, 9]), (5, [5, 5, 9]), (9, [5, 5, 9])]
)
def test_only_the_smallest_goes(limit: int, left: list[int]) -> None:
    stack = np.zeros((4, 1, 9), np.bool_)
    for mask, size in zip(stack, (3, 5, 5, 9), strict=True):
        mask[0, :size] = True
    instances = Instances.from_masks(CropMasks.from_full(stack))
    assert drop_smallest(instances, limit).masks.area().tolist() == left
    assert len(drop_smallest(instances[[]], limit)) == 0


def test_masks_of_one_pixel_and_none() -> None:
    stack = np.zeros((2, 5, 5), np.bool_)
    stack[0, 4, 4] = True
    instances = Instances.from_masks(CropMasks.from_full(stack), [0.5, 0.4])
    every: list[fc.FilterConfig] = [
        fc.FillHolesFilter(),
        fc.LargestComponentFilter(),
        fc.ConvexPolygonsFilter(),
        fc.ShapeFilter(feature="axis_ratio", minimum=1.0),
        fc.OverlappedFilter(most=0.2),
        fc.ChoppedFilter(),
        fc.RemoveOverlapFilter(),
        fc.ScoreFilter(minimum=0.1),
        fc.MaskNmsFilter(iou=0.1),
        fc.MinSizeFilter(pixels=1),
    ]
    for some in (instances, instances[[]]):
        for one in every:
            apply([one], some, ["a"])
        assert apply(every, some, ["a"]).masks.area().tolist() == [1] * min(len(some), 1)


def test_shape_limits() -> None:
    stack = np.zeros((3, 12, 12), np.bool_)
    stack[0, 2, 1:11], stack[1, 1:4, 1:4] = True, True
    instances = Instances.from_masks(CropMasks.from_full(stack), categories=[0, 1, 1])
    assert len(keep_by_shape(instances, "major_axis", 4.0)) == 1
    assert keep_by_shape(instances, "area", maximum=[10, 8]).categories.tolist() == [0]
    assert keep_by_shape(instances, "area").masks.area().tolist() == [10, 9]  # nothing has no shape
    table = ShapeTable(("a", "b"), ("major_axis",), (((4.0, 30.0), (2.0, 3.0)),))
    low, both = filters_from_table(table), filters_from_table(table, both_ends=True)
    assert len(apply(low, instances, ["a", "b"])) == 2
    assert len(apply(both, instances, ["a", "b"])) == 1


def test_numbers_by_category_and_scale() -> None:
    stack = np.zeros((3, 10, 10), np.bool_)
    stack[:, :2, :5] = True
    instances = Instances.from_masks(CropMasks.from_full(stack), [0.2, 0.2, 0.2], [0, 1, 2])

    def left(*filters: fc.FilterConfig, scale: float = 1.0) -> list[int]:
        return apply(filters, instances, NAMES, scale=scale).categories.tolist()

    assert left(fc.ScoreFilter(minimum={"b": 0.5})) == [0, 2]
    assert left(fc.MinSizeFilter(pixels={"a": 11, "c": 10})) == [1, 2]
    # One pixel of the network is two of the image along each side.
    assert left(fc.MinSizeFilter(pixels=3), scale=2.0) == []
    assert left(fc.MinSizeFilter(pixels=2.5), scale=2.0) == [0, 1, 2]
    assert left(fc.ShapeFilter(feature="major_axis", minimum=4.0), scale=2.0) == []


def test_only_some_categories_change() -> None:
    ring = np.ones((2, 5, 5), np.bool_)
    ring[:, 2, 2] = False
    instances = Instances.from_masks(CropMasks.from_full(ring), categories=[0, 1])
    result = apply([fc.FillHolesFilter(only=("b",))], instances, NAMES)
    assert result.masks.area().tolist() == [24, 25]
    result = apply([fc.ConvexPolygonsFilter(only=("a",))], instances, NAMES)
    assert result.masks.area().tolist() == [25, 24]
    ring[:, :, 1] = False
    instances = Instances.from_masks(CropMasks.from_full(ring), categories=[0, 1])
    result = apply([fc.LargestComponentFilter(only=("a",))], instances, NAMES)
    assert result.masks.area().tolist() == [14, 19]


def test_the_order_is_that_of_the_list() -> None:
    stack = np.zeros((2, 1, 12), np.bool_)
    stack[0, 0, :8], stack[1, 0, 4:12] = True, True
    instances = Instances.from_masks(CropMasks.from_full(stack), [0.9, 0.8])
    size, overlap = fc.MinSizeFilter(pixels=6), fc.RemoveOverlapFilter()
    assert len(apply([size, overlap], instances, NAMES)) == 2
    assert len(apply([overlap, size], instances, NAMES)) == 1


def test_filters_are_data() -> None:
    text = '[{"filter": "min_size", "pixels": {"a": 75}}, {"filter": "chopped", "most_lost": 0.4}]'
    filters = fc.read_filters(json.loads(text))
    assert filters == (fc.MinSizeFilter(pixels={"a": 75}), fc.ChoppedFilter(most_lost=0.4))
    assert fc.read_filters(one.model_dump(mode="json") for one in filters) == filters
    for wrong in ({"filter": "size"}, {"filter": "score", "minimum": 2}, {"filter": "shape"}):
        with pytest.raises(ValidationError):
            fc.read_filters([wrong])
    with pytest.raises(ValueError, match="minimum, a maximum or both"):
        fc.ShapeFilter(feature="area")
    with pytest.raises(ValueError, match="unknown categories: a"):
        apply(filters, Instances.empty((3, 3)), ["b"])


def test_missing_opencv_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackage, match=r"napari-sartorius\[all\]"):
        fill_convex_polygons(Instances.empty((3, 3)))
