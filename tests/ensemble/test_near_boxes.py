"""Looking only at what is near changes nothing: clusters and pairs are those of all with all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sartorius.ensemble.close_pairs import close_pairs, pair_iou
from napari_sartorius.ensemble.greedy_boxes import greedy_clusters
from napari_sartorius.ensemble.near_grid import NearGrid
from napari_sartorius.ensemble.suppression import box_nms, soft_nms

if TYPE_CHECKING:
    from numpy.typing import NDArray

IOU = st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.55, 0.7, 0.9, 1.0])
CASES: dict[str, Any] = {
    "seed": st.integers(0, 100_000),
    "count": st.integers(0, 90),
    "spread": st.floats(-3, 3),
    "mixed": st.booleans(),
}


def _boxes(seed: int, count: int, spread: float, mixed: bool) -> tuple[Any, Any, Any]:
    """Boxes of one size or of a thousand sizes, on an area from crowded to empty."""
    generator = np.random.default_rng(seed)
    low = generator.uniform(-20, 20, (count, 2)) * 10**spread
    sides = generator.uniform(5, 20, (count, 2))
    if mixed:
        sides = 10 ** generator.uniform(-1, 2, (count, 2))
    boxes = np.concatenate([low, low + sides], axis=1)
    return boxes, generator.uniform(0.1, 1, count), generator.integers(0, 3, count)


def _iou(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    return pair_iou(boxes, np.broadcast_to(box, boxes.shape))


def _compare_all(boxes: Any, weights: Any, labels: Any, iou: float, moving: bool) -> list[int]:
    """The definition, written plainly."""
    means: list[Any] = []
    members: list[list[int]] = []
    result = []
    for i, box in enumerate(boxes):
        best, winner = iou, -1
        for number, mean in enumerate(means):
            overlap = _iou(mean[None], box)[0]
            if labels[members[number][0]] == labels[i] and overlap > best:
                best, winner = overlap, number
        if winner < 0:
            winner = len(means)
            means.append(box)
            members.append([i])
        else:
            members[winner].append(i)
            own = members[winner]
            if moving:
                means[winner] = np.average(boxes[own], axis=0, weights=weights[own])
        result.append(winner)
    return result


@settings(max_examples=25)
@given(iou=IOU, moving=st.booleans(), **CASES)
def test_greedy_clusters(iou: float, moving: bool, **case: Any) -> None:
    boxes, weights, labels = _boxes(**case)
    order = np.arange(len(boxes))
    ours = greedy_clusters(boxes, weights, labels, order, iou, moving=moving)
    assert ours.tolist() == _compare_all(boxes, weights, labels, iou, moving)


@settings(max_examples=80)
@given(iou=IOU, **CASES)
def test_close_pairs(iou: float, **case: Any) -> None:
    boxes, _, labels = _boxes(**case)
    pairs = close_pairs(boxes, labels, iou)
    begin = 0
    for i, end in enumerate(pairs.ends.tolist()):
        overlap = _iou(boxes, boxes[i])
        overlap[(labels != labels[i]) | (np.arange(len(boxes)) == i)] = 0
        expected = np.flatnonzero(overlap >= iou)
        assert sorted(pairs.other[begin:end].tolist()) == expected.tolist()
        assert (np.diff(pairs.iou[begin:end]) <= 0).all()
        begin = end


def test_an_object_as_large_as_the_image_among_specks() -> None:
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 1e6, (300, 2))
    boxes = np.concatenate([low, low + 1e-3], axis=1)
    boxes = np.concatenate([boxes, boxes + 1e-5, [[0, 0, 1e6, 1e6], [0, 0, 1e6, 9e5]]])
    labels = np.zeros(len(boxes), np.int64)
    cluster = greedy_clusters(boxes, np.ones(len(boxes)), labels, np.arange(len(boxes)), 0.5)
    assert cluster.tolist() == [*range(300), *range(300), 300, 300]


def test_joining_nothing_needs_an_overlap_of_one() -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 2]], float)
    labels = np.zeros(2, np.int64)
    assert greedy_clusters(boxes, np.ones(2), labels, np.arange(2), 1.0).tolist() == [0, 1]
    with pytest.raises(ValueError, match="IoU"):
        NearGrid(boxes, labels, 0.01)


@settings(max_examples=40)
@given(iou=IOU, **CASES)
def test_suppression(iou: float, **case: Any) -> None:
    boxes, scores, labels = _boxes(**case)
    kept: list[int] = []
    for i in np.argsort(-scores).tolist():
        same = [k for k in kept if labels[k] == labels[i]]
        if not same or (_iou(boxes[same], boxes[i]) <= iou).all():
            kept.append(i)
    assert box_nms(boxes, scores, labels, iou).tolist() == kept


@settings(max_examples=40)
@given(method=st.sampled_from(["gaussian", "linear"]), **CASES)
def test_soft_suppression(method: Any, **case: Any) -> None:
    boxes, scores, labels = _boxes(**case)
    left, expected = scores.copy(), []
    open_boxes = np.ones(len(boxes), bool)
    while open_boxes.any():
        i = int(np.where(open_boxes, left, -1).argmax())
        open_boxes[i] = False
        expected.append(i)
        overlap = np.where(labels == labels[i], _iou(boxes, boxes[i]), 0)
        factor = np.exp(-(overlap**2) / 0.5)
        if method == "linear":
            factor = np.where(overlap > 0.4, 1 - overlap, 1)
        left[open_boxes] *= factor[open_boxes]
    kept, lowered = soft_nms(boxes, scores, labels, method=method, iou=0.4, min_score=0.05)
    assert kept.tolist() == [i for i in expected if left[i] > 0.05]
    np.testing.assert_allclose(lowered, left[kept])
