"""What an evaluation found, per image and per category, as numbers and as text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_sartorius.evaluation.coco_ap import AveragePrecision
from napari_sartorius.evaluation.competition import CompetitionScore, Variant


@dataclass(frozen=True)
class ImageResult:
    """One image: its name, the category most of its true objects have, counts and score."""

    file_name: str
    category: str | None
    true_count: int
    predicted_count: int
    competition: CompetitionScore


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
    """

    name: str
    images: int
    true_count: int
    predicted_count: int
    mean: float
    contribution: float
    average_precision: AveragePrecision | None


@dataclass(frozen=True)
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
    """

    competition_score: float
    variant: Variant
    average_precision: AveragePrecision
    max_detections: int
    images: list[ImageResult]
    categories: list[CategoryResult]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types that JSON can hold; not-a-number becomes None."""
        return {
            "competition_score": _number(self.competition_score),
            "variant": self.variant,
            **_precisions(self.average_precision),
            "max_detections": self.max_detections,
            "categories": {
                c.name: {
                    "images": c.images,
                    "true_count": c.true_count,
                    "predicted_count": c.predicted_count,
                    "competition_score": _number(c.mean),
                    "contribution": _number(c.contribution),
                    **_precisions(c.average_precision),
                }
                for c in self.categories
            },
            "images": [
                {
                    "file_name": i.file_name,
                    "category": i.category,
                    "true_count": i.true_count,
                    "predicted_count": i.predicted_count,
                    "competition_score": _number(i.competition.score),
                    "precisions": i.competition.precisions.tolist(),
                }
                for i in self.images
            ],
        }

    def to_text(self, *, per_image: bool = True) -> str:
        """Return tables for the terminal: all images if wanted, then categories, then the whole."""
        lines: list[str] = []
        if per_image:
            width = max([len("image"), *(len(i.file_name) for i in self.images)])
            lines.append(
                f"{'image':<{width}}  {'category':<12} {'true':>6} {'found':>6} {'mAP':>7}"
            )
            lines += [
                f"{i.file_name:<{width}}  {i.category or '-':<12} {i.true_count:>6} "
                f"{i.predicted_count:>6} {_text(i.competition.score):>7}"
                for i in self.images
            ]
            lines.append("")
        width = max([len("category"), len("all"), *(len(c.name) for c in self.categories)])
        lines.append(
            f"{'category':<{width}}  {'images':>6} {'true':>7} {'found':>7} "
            f"{'mAP':>7} {'part':>7} {'AP':>7} {'AP50':>7}"
        )
        rows = [
            (
                c.name,
                c.images,
                c.true_count,
                c.predicted_count,
                c.mean,
                c.contribution,
                c.average_precision,
            )
            for c in self.categories
        ]
        rows.append(
            (
                "all",
                len(self.images),
                sum(i.true_count for i in self.images),
                sum(i.predicted_count for i in self.images),
                self.competition_score,
                self.competition_score,
                self.average_precision,
            )
        )
        for name, images, true, found, mean, part, precision in rows:
            ap, ap50 = (precision.ap, precision.ap50) if precision else (math.nan, math.nan)
            lines.append(
                f"{name:<{width}}  {images:>6} {true:>7} {found:>7} {_text(mean):>7} "
                f"{_text(part):>7} {_text(ap):>7} {_text(ap50):>7}"
            )
        lines.append("")
        lines.append(
            "mAP: competition metric, mean over images of the precision at IoU 0.50 to 0.95 "
            f"({self.variant}); part: what a category adds to it; "
            f"AP, AP50: COCO masks, at most {self.max_detections} objects per image."
        )
        return "\n".join(lines)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _precisions(precision: AveragePrecision | None) -> dict[str, float | None]:
    if precision is None:
        return {"ap": None, "ap50": None, "ap75": None}
    return {
        "ap": _number(precision.ap),
        "ap50": _number(precision.ap50),
        "ap75": _number(precision.ap75),
    }


def _text(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4f}"
