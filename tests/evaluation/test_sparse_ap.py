from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation.coco_ap import coco_average_precision
from napari_sartorius.evaluation.outcomes import compare_objects
from napari_sartorius.evaluation.sparse_ap import sparse_average_precision


def crowd(random: np.random.Generator, count: int) -> CropMasks:
    """Rectangles that overlap a lot."""
    origins = random.integers(0, 50, (count, 2))
    sides = random.integers(2, 14, (count, 2))
    return CropMasks.from_bitmaps([np.ones(side, np.bool_) for side in sides], origins, (60, 60))


def jittered(random: np.random.Generator, masks: CropMasks) -> CropMasks:
    """The same objects, moved a little; some are gone and some new."""
    moved = [
        masks[[i]].translate(*random.integers(-1, 2, 2).tolist(), (60, 60))
        for i in np.flatnonzero(random.random(len(masks)) < 0.85).tolist()
    ]
    return CropMasks.concatenate([*moved, crowd(random, int(random.integers(0, 4)))])


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_library(seed: int) -> None:
    random = np.random.default_rng(seed)
    cases = []
    for count in random.integers(1, 25, 3).tolist():
        truth = crowd(random, count)
        masks = jittered(random, truth)
        scores = np.round(random.random(len(masks)), 1).astype(np.float32)  # with equal ones
        cases.append((Instances.from_masks(truth), Instances.from_masks(masks, scores)))
    expected = coco_average_precision(cases, ["cell"]).overall
    sparse = sparse_average_precision(
        [
            (compare_objects(truth, predicted, remove_overlap=False), predicted.scores)
            for truth, predicted in cases
        ]
    )
    assert 0.05 < expected.ap < 1
    assert sparse.ap == pytest.approx(expected.ap, abs=1e-9)
    assert sparse.ap50 == pytest.approx(expected.ap50, abs=1e-9)
    assert sparse.ap75 == pytest.approx(expected.ap75, abs=1e-9)


def test_nothing_to_find_and_nothing_found() -> None:
    none, some = CropMasks.empty((60, 60)), crowd(np.random.default_rng(0), 3)
    scores = np.ones(3, np.float32)
    no_truth = sparse_average_precision([(compare_objects(none, some), scores)])
    assert np.isnan([no_truth.ap, no_truth.ap50, no_truth.ap75]).all()
    assert np.isnan(sparse_average_precision([]).ap)
    assert sparse_average_precision([(compare_objects(some, none), scores[:0])]).ap == 0
