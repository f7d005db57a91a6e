"""Masks that overlap most are clustered, and pixels decided by vote."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_looks import canvas, found, jittered
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.ensemble.greedy_masks import greedy_mask_clusters
from napari_sartorius.ensemble.looks import Look
from napari_sartorius.ensemble.mask_clusters import MaskClusters, mask_clusters


@settings(max_examples=60)
@given(
    seed=st.integers(0, 100_000),
    count=st.integers(0, 30),
    iou=st.sampled_from([0.05, 0.3, 0.5, 0.8, 1.0]),
)
def test_looking_only_at_what_is_near_changes_nothing(seed: int, count: int, iou: float) -> None:
    generator = np.random.default_rng(seed)
    bitmaps = [
        generator.random(tuple(generator.integers(1, 12, 2))) < generator.uniform(0, 1.2)
        for _ in range(count)
    ]
    masks = CropMasks.from_bitmaps(bitmaps, generator.integers(0, 12, (count, 2)), (20, 24))
    labels = generator.integers(0, 2, count)
    overlap, area = masks.iou(masks), masks.area()
    seeds: list[int] = []
    expected = []
    for i in range(count):
        best, winner = iou, -1
        for number, first in enumerate(seeds):
            if labels[first] == labels[i] and np.float32(best) < overlap[i, first]:
                best, winner = float(overlap[i, first]), number
        if winner < 0 and area[i]:
            winner = len(seeds)
            seeds.append(i)
        expected.append(winner)
    assert greedy_mask_clusters(masks, labels, iou).tolist() == expected


def _square(x0: int, width: int, score: float, label: int = 0) -> Any:
    return found([[x0, 10, x0 + width, 30]], [score], [label], np.ones((1, 4, 4)))


def test_pixels_of_half_the_members() -> None:
    looks = [Look(_square(10, 20, 0.9)), Look(_square(10, 22, 0.8)), Look(_square(10, 26, 0.7))]
    objects = mask_clusters(looks, canvas(), MaskClusters())
    assert objects.boxes.tolist() == [[10, 10, 32, 30]]
    np.testing.assert_allclose(objects.scores, [0.8])
    strict = mask_clusters(looks, canvas(), MaskClusters(vote=1))
    assert strict.boxes.tolist() == [[10, 10, 30, 30]]
    np.testing.assert_allclose(
        objects.columns["mask_agreement"], [(20 / 22 + 20 / 26 + 22 / 26) / 3], atol=0.01
    )


def test_few_votes_and_low_scores() -> None:
    looks = [Look(_square(10, 20, 0.9)), Look(_square(50, 20, 0.8)), Look(_square(52, 20, 0.2))]
    assert len(mask_clusters(looks, canvas(), MaskClusters(min_votes=2))) == 1
    objects = mask_clusters(looks, canvas(), MaskClusters(min_score=0.3))
    assert objects.columns["votes"].tolist() == [1, 1]
    np.testing.assert_allclose(objects.scores, [0.3, 0.8 / 3], rtol=1e-6)


@pytest.mark.parametrize(("agnostic", "categories"), [(True, [1]), (False, [1, 0])])
def test_categories_at_one_place(agnostic: bool, categories: list[int]) -> None:
    looks = [
        Look(_square(10, 20, 0.8, 0)),
        Look(_square(10, 20, 0.6, 1)),
        Look(_square(10, 20, 0.5, 1)),
    ]
    objects = mask_clusters(looks, canvas(), MaskClusters(class_agnostic=agnostic))
    assert objects.categories.tolist() == categories


def test_cells_that_several_looks_see() -> None:
    looks = jittered(60, 5, labels=1)
    objects = mask_clusters(looks, canvas(), MaskClusters())
    assert len(objects) == 60
    np.testing.assert_array_equal(
        objects.columns["votes"].sum(), sum(len(look.found) for look in looks)
    )
