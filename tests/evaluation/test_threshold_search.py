"""Threshold search must find what filtering and scoring every combination would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation import competition_score, search_thresholds
from napari_sartorius.postprocess import keep_by_score, remove_overlap

SCORES = (0.2, 0.4, 0.6, 0.8)
SIZES = (0, 8, 20)


def scene(random: np.random.Generator) -> tuple[Instances, Instances]:
    """Overlapping boxes as truth and, shifted and joined by false ones, as prediction."""
    count = int(random.integers(1, 8))
    truth = np.zeros((count, 20, 20), np.bool_)
    predicted = np.zeros((count + 4, 20, 20), np.bool_)
    for i, mask in enumerate(predicted):
        y, x = random.integers(0, 15, 2)
        h, w = random.integers(2, 7, 2)
        if i < count:
            truth[i, y : y + h, x : x + w] = True
        mask[y + random.integers(0, 2) : y + h, x : x + w] = True
    return (
        Instances.from_masks(
            CropMasks.from_full(truth), categories=np.full(count, random.integers(0, 2))
        ),
        Instances.from_masks(
            CropMasks.from_full(predicted),
            random.integers(0, 10, count + 4) / 10,
            random.integers(0, 2, count + 4),
        ),
    )


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_equals_trying_everything(seed: int, same: bool) -> None:
    random = np.random.default_rng(seed)
    cases = [scene(random) for _ in range(5)]
    found = search_thresholds(cases, scores=SCORES, sizes=SIZES, same_category=same)
    for category, best in found.items():
        own = [case for case in cases if case[0].categories[0] == category]
        assert best.images == len(own)
        table = np.zeros((len(SCORES), len(SIZES)))
        for truth, predicted in own:
            objects = predicted[predicted.categories == category] if same else predicted
            for i, score in enumerate(SCORES):
                for j, size in enumerate(SIZES):
                    kept = remove_overlap(keep_by_score(objects, score), size)
                    table[i, j] += competition_score(truth, kept).score / len(own)
        np.testing.assert_allclose(best.table, table, atol=1e-12)
        assert best.competition_score == pytest.approx(table.max())
        i, j = SCORES.index(best.score_threshold), SIZES.index(best.min_size)
        assert table[i, j] == pytest.approx(table.max())
    assert set(found) == {int(truth.categories[0]) for truth, _ in cases}


def test_images_without_objects_are_left_out() -> None:
    random = np.random.default_rng(0)
    truth, predicted = scene(random)
    none = Instances.empty(truth.image_size)
    assert search_thresholds([(none, predicted)]) == {}
    (result,) = search_thresholds([(truth, none)]).values()
    assert result.competition_score == 0
    assert result.table.shape == (len(result.scores), len(result.sizes))
