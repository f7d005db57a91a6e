"""Weighted masks fusion repeats the published code where asked to, and is put right where not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fusion_looks import (
    GOLDEN_IMAGES,
    IMAGE_SIZE,
    FourModels,
    assert_same_masks,
    canvas,
    found,
    jittered,
)
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.ensemble.looks import Look
from napari_sartorius.ensemble.member_masks import vote
from napari_sartorius.ensemble.weighted_masks import (
    WeightedMasks,
    cluster_by_boxes,
    confidence_of,
    weighted_masks,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("image", GOLDEN_IMAGES)
def test_the_published_code(shared_golden: Path, image: str) -> None:
    recorded = json.loads((shared_golden / "fusion" / "4_wmf" / image / "wmf.json").read_text())
    models = FourModels.read(shared_golden, image)
    assert len(recorded["runs"]) == 8
    for name, run in recorded["runs"].items():
        order = np.arange(len(models.scores))
        if name.endswith("sorted_by_score"):
            order = np.argsort(-models.scores, kind="stable")
        _compare(models, order, run, recorded["common"]["skip_mask_thr"])


def _compare(models: FourModels, order: Any, run: dict[str, Any], skip: float) -> None:
    params, expected = run["params"], run["clusters"]
    options = WeightedMasks(
        iou=params["iou_thr"],
        min_score=skip,
        confidence=params["conf_type"],
        soft_weight=params.get("soft_weight", 5),
        min_members=params.get("num_thresh", 1),
        compat="original",
    )
    weights = np.array(params.get("model_weights", [1] * 4), float)
    boxes, scores, look = models.boxes[order], models.scores[order], models.model[order]
    clusters, shares = cluster_by_boxes(boxes, scores, look, weights, options)
    of = clusters.members
    ours = confidence_of(clusters, scores, look, weights, options)
    np.testing.assert_allclose(ours, [c["score"] for c in expected], rtol=1e-6)
    total = clusters.sum(shares)
    numbers = total > 0
    assert (~numbers).sum() == run["n_nan_scores_or_masks"]
    theirs = np.array([c["box"] for c in expected])[numbers]
    np.testing.assert_allclose(clusters.mean(boxes[of], shares)[numbers], theirs, atol=2e-4)
    area = clusters.mean(models.masks.area()[order[of]].astype(float), shares)
    np.testing.assert_allclose(area, [c["mask_sum"] for c in expected], rtol=1e-6)
    needed = np.where(numbers, 0.5 * total, np.inf)
    masks, _ = vote(models.masks[order[of]], clusters, shares, needed)
    assert_same_masks(masks, CropMasks.from_rle([c["mask_ge_0.5"] for c in expected], IMAGE_SIZE))


def test_weights_of_looks_make_no_number_not_a_number() -> None:
    looks = jittered(20, 4)
    options = WeightedMasks(confidence="model_weight2", iou=0.5)
    objects = weighted_masks(looks, canvas(), options)
    assert np.isfinite(objects.scores).all()
    assert len(objects) == 20
    # The published code has nothing for what only the first look found.
    only_first = [looks[0], *(Look(found([], [])) for _ in range(3))]
    quirk = weighted_masks(only_first, canvas(), options.model_copy(update={"compat": "original"}))
    assert len(quirk) == 0
    assert len(weighted_masks(only_first, canvas(), options)) == len(looks[0].found)


def test_two_boxes_of_one_look_count_once() -> None:
    looks = [Look(found([[10, 10, 30, 30], [10, 10, 30, 31]], [0.8, 0.6])), Look(found([], []))]
    ours = weighted_masks(looks, canvas(), WeightedMasks())
    np.testing.assert_allclose(ours.scores, [0.4])
    theirs = weighted_masks(looks, canvas(), WeightedMasks(compat="original"))
    np.testing.assert_allclose(theirs.scores, [0.8])
    assert len(weighted_masks(looks, canvas(), WeightedMasks(min_members=2))) == 0


@pytest.mark.parametrize(
    ("confidence", "factor"),
    [("max", 1), ("max_weight", 1 / 3), ("soft_weight", 6 / 8), ("model_weight", 7 / 10)],
)
def test_what_missing_looks_cost(confidence: Any, factor: float) -> None:
    seen, nothing = found([[10, 10, 30, 30]], [0.8]), found([], [])
    looks = [Look(seen, weight=2), Look(nothing, weight=1), Look(nothing, weight=2)]
    objects = weighted_masks(looks, canvas(), WeightedMasks(confidence=confidence))
    np.testing.assert_allclose(objects.scores, [0.8 * factor], rtol=1e-6)
