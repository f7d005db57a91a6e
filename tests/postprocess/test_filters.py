"""Filters of predictions against slow and obvious versions of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess import (
    fill_holes,
    keep_by_score,
    keep_by_size,
    largest_component,
    majority_category,
    mask_nms,
    remove_overlap,
)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Instances, np.ndarray]:
    """Up to ten overlapping boxes, speckles and nothings on a small image, with ties in score."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    count = draw(st.integers(0, 10))
    stack = np.zeros((count, 9, 11), np.bool_)
    for mask in stack:
        y, x = random.integers(0, 8, 2)
        h, w = random.integers(0, 6, 2)
        mask[y : y + h, x : x + w] = (
            random.random() < 0.7 or random.random((9, 11))[y : y + h, x : x + w] < 0.6
        )
    instances = Instances.from_masks(
        CropMasks.from_full(stack), random.integers(0, 5, count) / 4, random.integers(0, 3, count)
    )
    instances.columns["place"] = np.arange(count)
    return instances, stack


@given(scenes(), st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.booleans())
def test_mask_nms(scene: tuple[Instances, np.ndarray], limit: float, within: bool) -> None:
    instances, stack = scene
    limits = [limit, limit / 2, 1.0]
    kept: list[int] = []
    for i in np.argsort(-instances.scores, kind="stable").tolist():
        own = limits[instances.categories[i]]
        rivals = [
            j for j in kept if not within or instances.categories[i] == instances.categories[j]
        ]
        ious = [(stack[i] & stack[j]).sum() / (stack[i] | stack[j]).sum() for j in rivals]
        if stack[i].any() and all(value <= own for value in ious):
            kept.append(i)
    result = mask_nms(instances, limits, within_category=within)
    assert result.columns["place"].tolist() == sorted(kept)


def test_a_suppressed_object_suppresses_nothing() -> None:
    """Three in a chain: the middle one goes, so the last one stays."""
    stack = np.zeros((3, 1, 30), np.bool_)
    for i, start in enumerate((0, 5, 10)):
        stack[i, 0, start : start + 12] = True
    instances = Instances.from_masks(CropMasks.from_full(stack), [0.9, 0.8, 0.7])
    assert mask_nms(instances, 0.2).scores.tolist() == np.float32([0.9, 0.7]).tolist()


@given(scenes())
def test_remove_overlap(scene: tuple[Instances, np.ndarray]) -> None:
    instances, stack = scene
    least = [0, 3, 6]
    taken = np.zeros(stack.shape[1:], np.bool_)
    expected = {}
    for i in np.argsort(-instances.scores, kind="stable").tolist():
        left = stack[i] & ~taken
        taken |= stack[i]
        if left.sum() >= max(least[instances.categories[i]], 1):
            expected[i] = left
    result = remove_overlap(instances, least)
    assert result.columns["place"].tolist() == sorted(expected)
    for i, place in enumerate(result.columns["place"].tolist()):
        np.testing.assert_array_equal(result.masks.full(i), expected[place])
    np.testing.assert_array_equal(result.boxes, result.masks.bounding_boxes())
    assert len(remove_overlap(instances)) == len(
        [
            m
            for m in instances.masks.remove_overlap(np.argsort(-instances.scores, kind="stable"))
            if m.any()
        ]
    )


@given(scenes())
def test_shapes(scene: tuple[Instances, np.ndarray]) -> None:
    instances, stack = scene
    whole, filled = largest_component(instances), fill_holes(instances)
    assert len(whole) == len(filled) == len(instances)
    for i, mask in enumerate(stack):
        np.testing.assert_array_equal(filled.masks.full(i), ndimage.binary_fill_holes(mask))
        parts, count = ndimage.label(mask, np.ones((3, 3)))
        sizes = [(parts == k + 1).sum() for k in range(count)]
        part = whole.masks.full(i)
        assert part.sum() == max(sizes, default=0)
        assert not count or any(np.array_equal(part, parts == k + 1) for k in range(count))
    np.testing.assert_array_equal(whole.boxes, whole.masks.bounding_boxes())
    np.testing.assert_array_equal(whole.columns["place"], instances.columns["place"])


def test_thresholds_per_category() -> None:
    masks = CropMasks.from_full(np.ones((4, 2, 3), np.bool_))
    instances = Instances.from_masks(masks, [0.3, 0.3, 0.7, 0.1], [0, 1, 1, 0])
    assert keep_by_score(instances, 0.3).scores.tolist() == np.float32([0.3, 0.3, 0.7]).tolist()
    assert len(keep_by_score(instances, [0.05, 0.5])) == 3
    assert len(keep_by_size(instances, [6, 7])) == 2
    assert majority_category(instances) == 0
    assert majority_category(instances[1:3]) == 1
    assert majority_category(instances[[]]) is None
    with pytest.raises(ValueError, match="1 category, but category 1"):
        keep_by_score(instances, [0.5])
