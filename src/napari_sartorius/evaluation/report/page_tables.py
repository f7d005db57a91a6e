"""The two tables of a report's page: categories, and all images to sort."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from napari_sartorius.evaluation.coco_ap import AveragePrecision

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_sartorius.evaluation.results import EvaluationResult


NOTHING = "\N{EN DASH}"
_SIDES = ("true", "predicted")
_HEADS = {"mAP": ' aria-sort="ascending"', "category": ' class="left"'}


def category_table(result: EvaluationResult) -> str:
    """Return a row per category and one for all of them."""
    limit = result.max_detections
    heads = ["category", "images", "true", "found", "mAP", "part of mAP", "AP", "AP50", "AP75"]
    heads += ["AP small", "AP medium", "AP large", f"AR{limit}", "count error"]
    rows = []
    for category in result.categories:
        precision = category.average_precision or AveragePrecision()
        whole = [category.images, category.true_count, category.predicted_count]
        scores = [category.mean, category.contribution, *_precisions(precision, limit)]
        rows.append([category.name, *whole, *scores, category.counting.mean_relative])
    totals = [sum(getattr(im, f"{side}_count") for im in result.images) for side in _SIDES]
    scores = [result.competition_score] * 2 + _precisions(result.average_precision, limit)
    last = ["all", len(result.images), *totals, *scores, result.counting.mean_relative]
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{_category_cells(row)}</tr>\n" for row in rows)
    return (
        f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n'
        f"<tfoot><tr>{_category_cells(last)}</tr></tfoot>\n</table></div>\n"
        '<p class="quiet">Small cells have up to 324 pixels, large ones 961 or more. The count '
        "error is the mean over images of the difference over the true count.</p>\n"
    )


def image_table(result: EvaluationResult, shown: Collection[int]) -> str:
    """Return a row per image, the worst first; those that are `shown` lead to their pictures."""
    heads = ["image", "category", "mAP", "true", "found", "difference", "matched"]
    heads += ["missed", "extra", "merged", "split"]
    order = sorted(range(len(result.images)), key=lambda i: result.images[i].competition.score)
    rows = ""
    for i in order:
        image, counts = result.images[i], result.images[i].outcomes.counts
        name, score = escape(image.file_name), image.competition.score
        if i in shown:
            name = f'<a href="#image-{i}">{name}</a>'
        numbers = [image.true_count, image.predicted_count, image.count_error, counts.matched]
        numbers += [counts.missed, counts.extra, counts.merged, counts.split]
        rows += (
            f'<tr><td>{name}</td><td class="left">{escape(image.category or NOTHING)}</td>'
            f'<td class="bar" style="--share:{score:.3f}" data-value="{score:.6f}">{score:.3f}</td>'
            + "".join(f"<td>{number}</td>" for number in numbers)
            + "</tr>\n"
        )
    head = "".join(
        f'<th{_HEADS.get(name, "")}><button type="button">{name}</button></th>' for name in heads
    )
    return (
        f'<div class="table tall"><table class="sortable">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table></div>\n"
    )


def _precisions(precision: AveragePrecision, limit: int) -> list[float]:
    return [
        precision.ap,
        precision.ap50,
        precision.ap75,
        precision.ap_small,
        precision.ap_medium,
        precision.ap_large,
        precision.recall.get(limit, math.nan),
    ]


def _category_cells(row: Sequence[Any]) -> str:
    *others, error = row
    cells = [_cell(value) for value in others]
    cells.append(NOTHING if math.isnan(float(error)) else f"{float(error):.1%}")
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _cell(value: str | int | float) -> str:
    if isinstance(value, float):
        return NOTHING if math.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else escape(value)
