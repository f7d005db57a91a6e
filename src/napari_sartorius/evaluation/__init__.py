"""How good a segmentation is: scores, counts, calibration, single objects, cell shapes."""

from __future__ import annotations

from napari_sartorius.evaluation.competition import (
    CompetitionScore,
    competition_score,
    mean_score,
)
from napari_sartorius.evaluation.dataset import evaluate_dataset
from napari_sartorius.evaluation.results import EvaluationResult
from napari_sartorius.evaluation.threshold_search import CategoryThresholds, search_thresholds

__all__ = [
    "CategoryThresholds",
    "CompetitionScore",
    "EvaluationResult",
    "competition_score",
    "evaluate_dataset",
    "mean_score",
    "search_thresholds",
]
