"""Fused boxes are those of the ensemble-boxes package, recorded and installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import ensemble_boxes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_looks import GOLDEN_IMAGES, IMAGE_SIZE, FourModels
from napari_sartorius.ensemble.box_fusion import (
    Confidence,
    FusedBoxes,
    non_maximum_weighted,
    weighted_boxes_fusion,
)
from napari_sartorius.ensemble.suppression import box_nms, soft_nms

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_UNIT = np.array([IMAGE_SIZE[1], IMAGE_SIZE[0]] * 2, np.float64)


@pytest.mark.parametrize("image", GOLDEN_IMAGES)
def test_recorded_runs_of_the_package(shared_golden: Path, image: str) -> None:
    models = FourModels.read(shared_golden, image)
    file = shared_golden / "fusion" / "2_box_fusion" / image / "box_fusion.json"
    runs = json.loads(file.read_text())["runs"]
    assert len(runs) == 16
    for name, run in runs.items():
        boxes, scores, labels = _ours(name, run["params"], models)
        np.testing.assert_array_equal(labels, run["labels"], name)
        np.testing.assert_allclose(scores, run["scores"], atol=1e-6, err_msg=name)
        # The package adds up in 32 bits.
        np.testing.assert_allclose(boxes / _UNIT, run["boxes"], atol=1e-6, err_msg=name)


def _ours(
    name: str, params: dict[str, Any], models: FourModels
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    # Recorded with the decimals, which were cast to 32 bits elsewhere.
    boxes, scores = models.boxes.astype(float).round(3), models.scores.astype(float).round(6)
    weights = np.array(params["weights"] or [1] * 4, float)
    labels = np.ones_like(models.labels) if "class_agnostic" in name else models.labels
    if name.startswith("wbf"):
        fused = weighted_boxes_fusion(
            boxes,
            scores,
            labels,
            models.model,
            weights,
            iou=params["iou_thr"],
            min_score=params["skip_box_thr"],
            confidence=params["conf_type"],
            allow_overflow=params["allows_overflow"],
        )
        return fused.boxes, fused.scores, fused.labels
    if name == "nmw":
        fused = non_maximum_weighted(boxes, scores, labels, models.model, weights, min_score=0.05)
        return fused.boxes, fused.scores, fused.labels
    if name.startswith("soft"):
        method = "linear" if params["method"] == 1 else "gaussian"
        kept, _ = soft_nms(boxes, scores, labels, method=method, iou=0.55, min_score=0.05)  # type: ignore[arg-type]
    else:
        if params["weights"]:
            scores = scores * weights[models.model] / weights.sum()
        kept = box_nms(boxes, scores, labels, params["iou_thr"])
    # The package goes label by label, and gives the scores that went in.
    kept = kept[np.argsort(labels[kept], kind="stable")]
    return boxes[kept], scores[kept], labels[kept]


def _scene(seed: int, count: int, looks: int = 4) -> tuple[Any, Any, Any, Any]:
    """Boxes of 0..1 around a few places, each seen by several looks, with different scores."""
    generator = np.random.default_rng(seed)
    places = generator.uniform(0.1, 0.8, (max(count // 5, 1), 2))
    low = places[generator.integers(0, len(places), count)] + generator.normal(0, 0.01, (count, 2))
    boxes = np.concatenate([low, low + generator.uniform(0.03, 0.15, (count, 2))], 1)
    scores = generator.permutation(np.linspace(0.01, 1, count)) if count else np.zeros(0)
    return boxes, scores, generator.integers(0, 3, count), generator.integers(0, looks, count)


def _listed(values: Any, look: Any) -> list[Any]:
    return [values[look == k] for k in range(4)]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 80),
    iou=st.sampled_from([0.05, 0.3, 0.55, 0.7, 0.95]),
    weights=st.sampled_from([(1, 1, 1, 1), (2, 1, 1, 0.5)]),
    confidence=st.sampled_from(get_args(Confidence)),
    allow_overflow=st.booleans(),
)
def test_the_installed_package_agrees(
    seed: int, count: int, iou: float, weights: Any, confidence: Any, allow_overflow: bool
) -> None:
    boxes, scores, labels, look = _scene(seed, count)
    expected = ensemble_boxes.weighted_boxes_fusion(
        _listed(boxes, look),
        _listed(scores, look),
        _listed(labels, look),
        weights=list(weights),
        iou_thr=iou,
        skip_box_thr=0.05,
        conf_type=confidence,
        allows_overflow=allow_overflow,
    )
    ours = weighted_boxes_fusion(
        boxes,
        scores,
        labels,
        look,
        weights,
        iou=iou,
        min_score=0.05,
        confidence=confidence,
        allow_overflow=allow_overflow,
    )
    _assert_equal_sets(ours, *expected)


def _assert_equal_sets(ours: FusedBoxes, boxes: Any, scores: Any, labels: Any) -> None:
    """Equal whatever the order of nearly equal scores."""
    assert len(ours.scores) == len(scores)
    if not len(scores):
        return
    one = np.concatenate([ours.labels[:, None], ours.boxes, ours.scores[:, None]], 1)
    two = np.concatenate([labels[:, None], boxes, scores[:, None]], 1)
    one, two = (rows[np.lexsort(rows.round(4).T)] for rows in (one, two))
    np.testing.assert_allclose(one, two, atol=2e-6)
    assert (np.diff(ours.scores) <= 0).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 60))
def test_the_listing_order_does_not_matter(seed: int, count: int) -> None:
    boxes, scores, labels, look = _scene(seed, count)
    scores = scores.round(1)  # many ties
    shuffle = np.random.default_rng(seed + 1).permutation(count)
    for fuse in (weighted_boxes_fusion, non_maximum_weighted):
        one = fuse(boxes, scores, labels, look, [1, 1, 1, 1])
        two = fuse(boxes[shuffle], scores[shuffle], labels[shuffle], look[shuffle], [1] * 4)
        np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-12)
        np.testing.assert_allclose(one.scores, two.scores, atol=1e-12)
        assert one.clusters.lists() == [shuffle[i].tolist() for i in two.clusters.lists()]


def test_members_are_told() -> None:
    boxes = [[0, 0, 10, 10], [40, 0, 50, 10], [0, 0, 10, 12], [1, 0, 11, 10]]
    fused = weighted_boxes_fusion(boxes, [0.5, 0.4, 0.9, 0.3], [0, 0, 0, 0], [0, 0, 1, 2], [1] * 3)
    assert fused.clusters.lists() == [[2, 0, 3], [1]]
    np.testing.assert_allclose(fused.scores, [1.7 / 3, 0.4 / 3])


def test_boxes_without_area_and_reversed_corners() -> None:
    boxes = [[5, 5, 5, 20], [10, 10, 0, 0], [0, 0, 10, 10]]
    fused = weighted_boxes_fusion(boxes, [0.9, 0.8, 0.4], [0, 0, 0], [0, 0, 1], [1, 1])
    np.testing.assert_allclose(fused.boxes, [[0, 0, 10, 10]])
    assert fused.clusters.lists() == [[1, 2]]


def test_boxes_without_any_score_are_averaged_alike() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 12]]
    for fuse in (weighted_boxes_fusion, non_maximum_weighted):
        fused = fuse(boxes, [0, 0], [0, 0], [0, 1], [1, 1])
        assert np.isfinite(fused.boxes).all()
        assert fused.scores.tolist() == [0]


def test_nothing_to_fuse() -> None:
    nothing = np.zeros((0, 4))
    for weights in ([], [1, 1]):
        fused = weighted_boxes_fusion(nothing, [], [], [], weights)
        assert len(fused.scores) == len(fused.boxes) == len(fused.clusters) == 0
        assert len(non_maximum_weighted(nothing, [], [], [], weights).scores) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": [np.nan]}, "not finite"),
        ({"boxes": [[0, 0, np.inf, 1]]}, "not finite"),
        ({"labels": [0, 1]}, "differ in number"),
        ({"look": [2]}, "looks from 0 to 0"),
        ({"weights": [0]}, "above 0"),
        ({"iou": 0.0}, "IoU from 0.05"),
        ({"confidence": "best"}, "unknown confidence"),
    ],
)
def test_what_cannot_be_fused(change: dict[str, Any], words: str) -> None:
    good = {"boxes": [[0, 0, 1, 1]], "scores": [1], "labels": [0], "look": [0], "weights": [1]}
    with pytest.raises(ValueError, match=words):
        weighted_boxes_fusion(**(good | change))
