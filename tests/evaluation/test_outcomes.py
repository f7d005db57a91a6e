from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.mask_strategies import Stack, stacks_of_size
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation import competition_score
from napari_sartorius.evaluation.outcomes import (
    ObjectTable,
    Outcome,
    OutcomeCounts,
    compare_objects,
    object_outcomes,
    total_counts,
)

SIZE = (20, 40)
SWAPPED = {
    Outcome.EMPTY: Outcome.EMPTY,
    Outcome.MATCHED: Outcome.MATCHED,
    Outcome.MISSED: Outcome.EXTRA,
    Outcome.EXTRA: Outcome.MISSED,
    Outcome.MERGED: Outcome.SPLIT,
    Outcome.SPLIT: Outcome.MERGED,
}


def boxes(*corners: tuple[int, int, int, int]) -> CropMasks:
    """Filled rectangles, each y0, x0, y1, x1."""
    return CropMasks.from_bitmaps(
        [np.ones((y1 - y0, x1 - x0), np.bool_) for y0, x0, y1, x1 in corners],
        np.array([(x0, y0) for y0, x0, _, _ in corners]).reshape(-1, 2),
        SIZE,
    )


def names(table: ObjectTable) -> list[str]:
    return [Outcome(value).name.lower() for value in table.outcome.tolist()]


@st.composite
def two_sides(draw: st.DrawFn) -> tuple[CropMasks, CropMasks, float]:
    size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    first, second = (CropMasks.from_full(draw(stacks_of_size(*size))) for _ in range(2))
    return first, second, draw(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.95]))


def test_one_of_each() -> None:
    truth = boxes(
        (0, 0, 4, 4),  # found
        (0, 10, 4, 14),  # nothing there
        (8, 0, 12, 4),  # swallowed with the next one
        (8, 4, 12, 8),
        (8, 20, 12, 32),  # found in three pieces
        (16, 0, 20, 4),  # found too badly
    )
    predicted = boxes(
        (0, 0, 4, 3),
        (0, 30, 4, 34),  # invented
        (8, 0, 12, 8),
        (8, 20, 12, 24),
        (8, 24, 12, 28),
        (8, 28, 12, 32),
        (18, 0, 20, 8),  # beside the last true object
    )
    result = object_outcomes(truth, predicted)
    assert names(result.truth) == ["matched", "missed", "merged", "merged", "split", "missed"]
    assert names(result.predicted) == [
        "matched",
        "extra",
        "merged",
        *["split"] * 3,
        "extra",
    ]
    assert result.truth.partner.tolist() == [0, -1, 2, 2, 3, 6]
    assert result.truth.iou.tolist() == [0.75, 0, 0.5, 0.5, 1 / 3, 8 / 24]
    assert result.predicted.partner.tolist() == [0, -1, 2, 4, 4, 4, 5]
    assert result.truth.covered_by.tolist() == [0, -1, 2, 2, -1, -1]
    assert result.truth.covers.tolist() == [1, 0, 0, 0, 3, 0]
    assert result.predicted.covered_by.tolist() == [0, -1, -1, 4, 4, 4, -1]
    assert result.predicted.covers.tolist() == [1, 0, 2, 0, 0, 0, 0]
    assert result.counts == OutcomeCounts(
        truths=6,
        predictions=7,
        matched=1,
        missed=2,
        extra=2,
        merged=1,
        split=1,
        truths_in_merges=2,
        truths_in_pieces=1,
        merging_predictions=1,
        pieces=3,
    )
    comparison = compare_objects(truth, predicted)
    assert comparison.truths_covered(2).tolist() == [2, 3]
    assert comparison.predictions_covered(4).tolist() == [3, 4, 5]


def test_a_lower_threshold_makes_matches_of_near_misses() -> None:
    truth, predicted = boxes((16, 0, 20, 4)), boxes((18, 0, 20, 8))
    comparison = compare_objects(truth, predicted)
    assert names(comparison.outcomes(0.3).truth) == ["matched"]
    # An overlap equal to the threshold is no match.
    assert names(comparison.outcomes(8 / 24).truth) == ["missed"]


def test_a_match_that_swallows_a_neighbour() -> None:
    """The larger one is found; the smaller one is merged, and the merge is counted."""
    truth, predicted = boxes((0, 0, 8, 8), (0, 8, 2, 10)), boxes((0, 0, 8, 10))
    result = object_outcomes(truth, predicted)
    assert names(result.truth) == ["matched", "merged"]
    assert names(result.predicted) == ["matched"]
    counts = result.counts
    assert (counts.merged, counts.truths_in_merges, counts.merging_predictions) == (1, 1, 0)


def test_half_is_not_the_larger_part() -> None:
    truth = boxes((0, 0, 4, 4), (0, 4, 4, 8))
    assert names(object_outcomes(truth, boxes((0, 2, 4, 6))).predicted) == ["extra"]


def test_overlap_of_predictions_is_left_to_the_better_one() -> None:
    truth, masks = boxes((0, 0, 4, 4)), boxes((0, 0, 4, 3), (0, 0, 4, 4))
    by_score = Instances.from_masks(masks, [0.2, 0.9])
    assert names(object_outcomes(truth, by_score).predicted) == ["empty", "matched"]
    assert object_outcomes(truth, by_score).counts.predictions == 1
    assert names(object_outcomes(truth, masks).predicted) == ["matched", "split"]
    kept = object_outcomes(truth, by_score, remove_overlap=False)
    assert names(kept.predicted) == ["split", "matched"]


@given(two_sides())
def test_counts_add_up(case: tuple[CropMasks, CropMasks, float]) -> None:
    truth, predicted, iou = case
    result = object_outcomes(truth, predicted, iou)
    counts = result.counts
    assert set(names(result.truth)) <= {"empty", "matched", "missed", "merged", "split"}
    assert set(names(result.predicted)) <= {"empty", "matched", "extra", "merged", "split"}
    assert counts.truths == np.count_nonzero(truth.area())
    assert counts.truths == (
        counts.matched + counts.missed + counts.truths_in_merges + counts.truths_in_pieces
    )
    assert counts.predictions == (
        counts.matched + counts.extra + counts.merging_predictions + counts.pieces
    )
    found = result.truth.outcome == Outcome.MATCHED
    partners = result.truth.partner[found]
    assert len(set(partners.tolist())) == counts.matched
    assert (result.predicted.partner[partners] == np.flatnonzero(found)).all()
    assert total_counts([counts, counts]) == counts + counts


@given(two_sides())
def test_exchanging_the_sides(case: tuple[CropMasks, CropMasks, float]) -> None:
    truth, predicted, iou = case
    there = object_outcomes(truth, predicted, iou, remove_overlap=False)
    back = object_outcomes(predicted, truth, iou, remove_overlap=False)
    for one, other in ((there.truth, back.predicted), (there.predicted, back.truth)):
        assert [SWAPPED[Outcome(v)] for v in one.outcome.tolist()] == other.outcome.tolist()
        for name in ("partner", "iou", "covers", "covered_by"):
            assert (getattr(one, name) == getattr(other, name)).all(), name


@given(two_sides())
def test_definitions_taken_literally(case: tuple[CropMasks, CropMasks, float]) -> None:
    truth, predicted, iou = case
    comparison = compare_objects(truth, predicted, remove_overlap=False)
    result = comparison.outcomes(iou)
    first, second = full(truth), full(predicted)
    shared = np.array([[(a & b).sum() for b in second] for a in first]).reshape(
        len(first), len(second)
    )
    in_prediction = shared * 2 > np.array([a.sum() for a in first]).reshape(-1, 1)
    in_truth = shared * 2 > np.array([b.sum() for b in second]).reshape(1, -1)
    assert result.predicted.covers.tolist() == in_prediction.sum(axis=0).tolist()
    assert result.truth.covers.tolist() == in_truth.sum(axis=1).tolist()
    ious = truth.iou(predicted)
    for i, outcome in enumerate(names(result.truth)):
        if outcome == "missed" and len(second):
            assert not any(in_prediction[i] & (in_prediction.sum(axis=0) > 1))
            assert result.truth.iou[i] == pytest.approx(ious[i].max())
        if outcome == "split":
            assert in_truth[i].sum() > 1
            assert (
                comparison.predictions_covered(i).tolist() == np.flatnonzero(in_truth[i]).tolist()
            )
    for j, outcome in enumerate(names(result.predicted)):
        if outcome == "merged":
            expected = np.flatnonzero(in_prediction[:, j]).tolist()
            assert comparison.truths_covered(j).tolist() == expected
        if outcome == "split":
            assert result.truth.covers[result.predicted.covered_by[j]] > 1


def full(masks: CropMasks) -> Stack:
    return np.array([masks.full(i) for i in range(len(masks))], np.bool_)


@given(two_sides())
def test_matches_are_the_true_positives_of_the_metric(
    case: tuple[CropMasks, CropMasks, float],
) -> None:
    truth, predicted, _ = case
    truth = truth.remove_overlap()
    score = competition_score(truth, predicted)
    comparison = compare_objects(truth, predicted)
    for k, threshold in enumerate((0.5, 0.6, 0.75)):
        counts = comparison.outcomes(threshold).counts
        at = (0, 2, 5)[k]
        assert counts.matched == score.true_positives[at]
        assert counts.predictions - counts.matched == score.false_positives[at]
        assert counts.truths - counts.matched == score.false_negatives[at]
    assert comparison.precision(np.arange(10, 20) / 20) == pytest.approx(score.precisions)


def test_nothing_on_either_side() -> None:
    nothing, something = CropMasks.empty(SIZE), boxes((0, 0, 4, 4))
    assert object_outcomes(nothing, nothing).counts == OutcomeCounts()
    assert object_outcomes(something, nothing).counts == OutcomeCounts(truths=1, missed=1)
    assert object_outcomes(nothing, something).counts == OutcomeCounts(predictions=1, extra=1)
    assert total_counts([]) == OutcomeCounts()
    assert compare_objects(nothing, nothing).precision(np.array([0.5])).tolist() == [1]


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="one image size"):
        object_outcomes(boxes((0, 0, 4, 4)), CropMasks.empty((5, 5)))
    for iou in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="threshold"):
            object_outcomes(boxes(), boxes(), iou)
