"""What an evaluation found, per image and per category, as numbers and as text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.evaluation.calibration import Calibration
from napari_sartorius.evaluation.coco_ap import AveragePrecision
from napari_sartorius.evaluation.competition import (
    THRESHOLDS,
    CompetitionScore,
    Variant,
    pooled_score,
)
from napari_sartorius.evaluation.counting import CountingError
from napari_sartorius.evaluation.outcomes import ObjectOutcomes, OutcomeCounts, total_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageResult:
    """One image.

    Parameters
    ----------
    file_name : str
        Its name.
    category : str or None
        The category that most of its true objects have.
    true_count, predicted_count : int
        Objects.
    competition : CompetitionScore
        What the competition metric counted.
    outcomes : ObjectOutcomes
        What became of every object at an IoU of 0.5.
    """

    file_name: str
    category: str | None
    true_count: int
    predicted_count: int
    competition: CompetitionScore
    outcomes: ObjectOutcomes

    @property
    def count_error(self) -> int:
        """Predicted minus true objects."""
        return self.predicted_count - self.true_count

    def to_dict(self) -> dict[str, Any]:
        """Return a row of plain types, without the single objects."""
        counts = self.outcomes.counts
        return {
            "file_name": self.file_name,
            "category": self.category,
            "competition_score": _number(self.competition.score),
            "true_count": self.true_count,
            "predicted_count": self.predicted_count,
            "count_error": self.count_error,
            "count_error_relative": self.count_error / self.true_count if self.true_count else None,
            "matched": counts.matched,
            "missed": counts.missed,
            "extra": counts.extra,
            "merged": counts.merged,
            "split": counts.split,
        }


@dataclass(frozen=True)
class CategoryResult:
    """One category.

    Parameters
    ----------
    name : str
        Its name.
    images : int
        Images whose true objects mostly have this category.
    true_count, predicted_count : int
        Objects of this category in all images.
    mean : float
        Mean competition score of its images, not-a-number without any.
    contribution : float
        Their part of the overall score: the sum of their scores over the number of all images.
    average_precision : AveragePrecision or None
        COCO AP of its objects; None without true objects.
    true_matched, predicted_matched : int
        Objects of this category that match one of any category at an IoU above 0.5.
    counting : CountingError
        Over images with true or predicted objects of this category.
    """

    name: str
    images: int
    true_count: int
    predicted_count: int
    mean: float
    contribution: float
    average_precision: AveragePrecision | None
    true_matched: int
    predicted_matched: int
    counting: CountingError

    def to_dict(self) -> dict[str, Any]:
        """Return plain types; not-a-number becomes None."""
        precision = self.average_precision
        return {
            "images": self.images,
            "true_count": self.true_count,
            "predicted_count": self.predicted_count,
            "competition_score": _number(self.mean),
            "contribution": _number(self.contribution),
            "recall50": self.true_matched / self.true_count if self.true_count else None,
            "precision50": (
                self.predicted_matched / self.predicted_count if self.predicted_count else None
            ),
            **_numbers((precision or AveragePrecision()).to_dict()),
            "counting": _numbers(asdict(self.counting)),
        }


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """All that `evaluate_dataset` found.

    Parameters
    ----------
    competition_score : float
        Mean over the images, 0 to 1.
    variant : str
        How matches were counted, see `competition.Variant`.
    average_precision : AveragePrecision
        COCO mask AP, mean over the categories that occur in the truth.
    max_detections : int
        Objects per image and category that AP looked at.
    images : list of ImageResult
        In the order of the truth.
    categories : list of CategoryResult
        Those that occur in truth or prediction, in the order of the truth's table.
    counting : CountingError
        Over all images.
    calibration : Calibration
        Scores of all predictions against whether they match at an IoU above 0.5.
    """

    competition_score: float
    variant: Variant
    average_precision: AveragePrecision
    max_detections: int
    images: list[ImageResult]
    categories: list[CategoryResult]
    counting: CountingError
    calibration: Calibration

    @cached_property
    def counts(self) -> OutcomeCounts:
        """Outcomes of all objects at an IoU of 0.5."""
        return total_counts(image.outcomes.counts for image in self.images)

    @property
    def pooled_score(self) -> float:
        """Competition score of the counts of all images together, as some publish it."""
        return pooled_score([image.competition for image in self.images])

    @property
    def precisions(self) -> NDArray[np.float64]:
        """Mean over images of TP / (TP + FP + FN) at each IoU threshold, (10,)."""
        result: NDArray[np.float64] = np.mean(
            [image.competition.precisions for image in self.images], axis=0
        )
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types that JSON can hold; not-a-number becomes None."""
        return {
            "competition_score": _number(self.competition_score),
            "pooled_score": _number(self.pooled_score),
            "variant": self.variant,
            **_numbers(self.average_precision.to_dict()),
            "max_detections": self.max_detections,
            "thresholds": THRESHOLDS.tolist(),
            "precisions": self.precisions.tolist(),
            "outcomes": asdict(self.counts),
            "counting": _numbers(asdict(self.counting)),
            "calibration": {
                "expected_error": _number(self.calibration.expected_error),
                "edges": self.calibration.edges.tolist(),
                "counts": self.calibration.counts.tolist(),
                "mean_scores": [_number(v) for v in self.calibration.mean_scores],
                "precisions": [_number(v) for v in self.calibration.precisions],
            },
            "categories": {category.name: category.to_dict() for category in self.categories},
            "images": [
                image.to_dict() | {"precisions": image.competition.precisions.tolist()}
                for image in self.images
            ],
        }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _numbers(values: dict[str, float]) -> dict[str, float | None]:
    return {name: _number(v) if isinstance(v, float) else v for name, v in values.items()}
