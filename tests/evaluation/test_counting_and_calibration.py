"""Errors of counting and of scores, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.evaluation.calibration import calibration
from napari_sartorius.evaluation.counting import counting_error


def test_counting_by_hand() -> None:
    error = counting_error([10, 20, 0, 50], [12, 15, 3, 50])
    assert error.images == 4
    assert error.bias == 0
    assert error.mean_absolute == 2.5
    assert error.mean_relative == pytest.approx((0.2 + 0.25 + 0) / 3)
    assert error.total_relative == 0
    assert error.r2 == pytest.approx(1 - (4 + 25 + 9) / (100 + 0 + 400 + 900))


def test_a_constant_factor_costs_the_linear_fit_nothing() -> None:
    error = counting_error([10, 20, 30], [20, 40, 60])
    assert error.r2 < 0
    assert error.r2_linear == pytest.approx(1)
    assert error.total_relative == pytest.approx(1)


def test_counts_that_say_nothing() -> None:
    nothing = counting_error([], [])
    assert nothing.images == 0
    assert np.isnan([nothing.bias, nothing.mean_relative, nothing.r2]).all()
    same = counting_error([5, 5], [4, 6])
    assert np.isnan([same.r2, same.r2_linear]).all()
    assert same.mean_relative == pytest.approx(0.2)
    assert np.isnan(counting_error([0, 0], [1, 2]).total_relative)


def test_reliability_by_hand() -> None:
    scores = [0.05, 0.15, 0.15, 0.95, 1.0, 0.5]
    table = calibration(scores, [False, True, False, True, True, False])
    assert table.counts.tolist() == [1, 2, 0, 0, 0, 1, 0, 0, 0, 2]
    assert table.precisions[[0, 1, 5, 9]].tolist() == [0, 0.5, 0, 1]
    assert np.isnan(table.precisions[2]) and np.isnan(table.mean_scores[2])
    assert table.mean_scores[9] == pytest.approx(0.975)
    gaps = 1 * 0.05 + 2 * 0.35 + 1 * 0.5 + 2 * 0.025
    assert table.expected_error == pytest.approx(gaps / 6)


def test_scores_that_tell_the_truth_have_no_error() -> None:
    random = np.random.default_rng(3)
    scores = random.random(200_000)
    table = calibration(scores, random.random(200_000) < scores, bins=20)
    assert table.counts.sum() == 200_000
    assert table.expected_error < 0.01
    assert calibration(scores, scores > 2).expected_error == pytest.approx(scores.mean())


def test_scores_outside_are_refused() -> None:
    assert np.isnan(calibration([], []).expected_error)
    for bad in (np.nan, -0.1, 1.5):
        with pytest.raises(UserError, match="expected 0 to 1"):
            calibration([0.5, bad], [True, False])
