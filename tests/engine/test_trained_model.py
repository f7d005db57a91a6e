"""The figures that the window is told after a training agree with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from napari_sartorius.engine.trained_model import CategoryScore, outcome_of
from napari_sartorius.training.finetune_result import FineTuned
from tiny_runs import tiny_run

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.zoo import ModelBundle


def _result(after: float, scores: dict[int, float]) -> FineTuned:
    return FineTuned(cast("ModelBundle", None), 0.09, after, scores, 60, False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "curve.csv").write_text(
        "step,score,score_0,score_1\n0,0.1,0.2,0.0\n60,0.4,0.5,0.3\n"
    )
    return tmp_path


def test_each_kind_has_the_score_of_what_is_handed_out(folder: Path) -> None:
    # which lies between the start and the best step
    told = outcome_of(
        folder, "ours", _result(0.35, {0: 0.45, 1: 0.25}), tiny_run(), ["a", "new"], ["a"]
    )
    assert told.categories == (CategoryScore("a", 0.2, 0.45), CategoryScore("new", None, 0.25))
    assert (told.before, told.after, told.best_step) == (0.09, 0.35, 60)


def test_a_single_kind_has_the_score_of_the_model(folder: Path) -> None:
    (folder / "curve.csv").write_text("step,score,score_1\n0,0.0,0.0\n60,0.4,0.4\n")
    told = outcome_of(folder, "ours", _result(0.35, {1: 0.35}), tiny_run(), ["a", "new"], ["a"])
    assert told.categories == (CategoryScore("new", 0.09, 0.35),)


def test_what_was_no_better_keeps_the_figures_of_its_best_step(folder: Path) -> None:
    told = outcome_of(folder, "ours", _result(0.09, {}), tiny_run(), ["a", "b"], ["a", "b"])
    assert told.name is None
    assert told.categories == (CategoryScore("a", 0.2, 0.5), CategoryScore("b", 0.0, 0.3))
