"""An evaluation as tables for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_sartorius.evaluation.coco_ap import AveragePrecision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.evaluation.results import EvaluationResult

_EXPLANATION = (
    "mAP: competition metric, mean over images of the precision at IoU 0.50 to 0.95 ({variant});\n"
    "part: what a category adds to it; AP, AP50, AP75, AR: COCO masks, at most {limit} objects\n"
    "per image; small cells have up to 324 pixels, large ones 961 or more."
)


def as_text(result: EvaluationResult, *, per_image: bool = True) -> str:
    """Return all images if wanted, then the categories, then the whole in sentences."""
    lines: list[str] = []
    if per_image:
        lines += aligned(
            ("image", "category", "true", "found", "missed", "extra", "merged", "split", "mAP"),
            [
                (
                    image.file_name,
                    image.category or "-",
                    image.true_count,
                    image.predicted_count,
                    counts.missed,
                    counts.extra,
                    counts.merged,
                    counts.split,
                    image.competition.score,
                )
                for image in result.images
                for counts in (image.outcomes.counts,)
            ],
        )
        lines.append("")
    lines += _categories(result)
    lines += ["", *_sentences(result), ""]
    lines.append(_EXPLANATION.format(variant=result.variant, limit=result.max_detections))
    return "\n".join(lines)


def _categories(result: EvaluationResult) -> list[str]:
    largest = result.max_detections
    rows: list[tuple[object, ...]] = [
        (
            c.name,
            c.images,
            c.true_count,
            c.predicted_count,
            c.mean,
            c.contribution,
            *_precisions(c.average_precision, largest),
        )
        for c in result.categories
    ]
    rows.append(
        (
            "all",
            len(result.images),
            sum(image.true_count for image in result.images),
            sum(image.predicted_count for image in result.images),
            result.competition_score,
            result.competition_score,
            *_precisions(result.average_precision, largest),
        )
    )
    names = ("category", "images", "true", "found", "mAP", "part", "AP", "AP50", "AP75")
    return aligned((*names, "small", "medium", "large", f"AR{largest}"), rows)


def _precisions(precision: AveragePrecision | None, limit: int) -> tuple[float, ...]:
    known = precision or AveragePrecision()
    return (
        known.ap,
        known.ap50,
        known.ap75,
        known.ap_small,
        known.ap_medium,
        known.ap_large,
        known.recall.get(limit, math.nan),
    )


def _sentences(result: EvaluationResult) -> list[str]:
    counts, counting = result.counts, result.counting
    lines = [
        f"At IoU 0.5: {counts.matched} matched, {counts.missed} missed, {counts.extra} extra, "
        f"{counts.merged} merged, {counts.split} split."
    ]
    sign = "too many" if counting.bias > 0 else "too few"
    text = f"Counts: off by {counting.mean_absolute:.1f} objects an image"
    if not math.isnan(counting.mean_relative):
        text += f" ({counting.mean_relative:.1%})"
    text += f", on average {abs(counting.bias):.1f} {sign}" if counting.bias else ""
    text += f"; R2 {counting.r2:.3f}" if not math.isnan(counting.r2) else ""
    lines.append(text + ".")
    error = result.calibration.expected_error
    if not math.isnan(error):
        lines.append(f"Scores are off by {error:.3f} (expected calibration error at IoU 0.5).")
    return lines


def aligned(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return lines of a table with aligned columns: text on the left, numbers on the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(names, *cells, strict=True))
    widths = [max(len(text) for text in column) for column in columns]
    is_text = [all(isinstance(row[k], str) for row in rows) for k in range(len(names))]

    def line(row: Sequence[str]) -> str:
        parts = (
            text.ljust(width) if left else text.rjust(width)
            for text, width, left in zip(row, widths, is_text, strict=True)
        )
        return "  ".join(parts).rstrip()

    return [line(names), *(line(row) for row in cells)]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4f}"
    return str(value)
