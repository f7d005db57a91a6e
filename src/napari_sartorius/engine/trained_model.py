"""What a training from the Train tab has made, as the window is told of it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.training.curve_file import FIGURES
from napari_sartorius.training.run_files import CURVE_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.training.finetune_result import FineTuned
    from napari_sartorius.training.run_state import RunState


@dataclass(frozen=True)
class CategoryScore:
    """Competition score of one category before and after, 0..1; None where it was not measured."""

    name: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class TrainedModel:
    """What came out of a fine-tuning.

    Attributes
    ----------
    name
        Of the new model, which is in the list now; None when the start was better.
    before, after
        Competition score on what was kept apart, 0..1; `before` is None when the start finds other
        categories.
    steps
        Steps done.
    best_step
        The step whose weights were kept.
    categories
        The same per category.
    """

    name: str | None
    before: float | None
    after: float
    steps: int
    best_step: int = 0
    categories: tuple[CategoryScore, ...] = ()


def outcome_of(
    folder: Path,
    name: str,
    result: FineTuned,
    config: TrainConfig,
    names: Sequence[str],
    known: Sequence[str],
) -> TrainedModel:
    """What a run in `folder` has made.

    Parameters
    ----------
    folder, name, result, config
        The run, its model, what came of it, and how it was made.
    names, known
        Categories of the training, and those that the start has. What the start finds of another
        one cannot be said; of a single one it is what its score is all about.
    """
    rows = _curve(folder)
    figure = FIGURES[config.select_by]
    best = max(rows, key=lambda row: row.get(figure, -1.0), default={})
    first = rows[0] if rows and rows[0].get("step") == 0 else {}
    scores = tuple(
        CategoryScore(
            one,
            first.get(f"score_{n}") if one in known else None,
            result.scores.get(n, best.get(f"score_{n}")),
        )
        for n, one in enumerate(names)
        if f"score_{n}" in best or f"score_{n}" in first
    )
    if len(scores) == 1:
        scores = (CategoryScore(scores[0].name, result.before, result.after),)
    return TrainedModel(
        name if result.improved else None,
        result.before,
        result.after,
        result.steps,
        round(best.get("step", 0.0)),
        scores,
    )


def result_of(state: RunState) -> TrainedModel | None:
    """What a run that has finished returned, as its folder tells; None when it does not."""
    told = dict(state.result or {})
    try:
        scores = tuple(CategoryScore(**one) for one in told.pop("categories", ()))
        return TrainedModel(**told, categories=scores) if told else None
    except TypeError:  # of another version
        return None


def _curve(folder: Path) -> list[dict[str, float]]:
    with (folder / CURVE_FILE).open(newline="", encoding="utf-8") as stream:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(stream)]
