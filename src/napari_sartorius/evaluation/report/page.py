"""The page of a report: one HTML file that needs nothing else, in the light and in the dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from napari_sartorius import __version__
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.evaluation.cell_shape import CellShapes
from napari_sartorius.evaluation.outcome_colours import OUTCOMES
from napari_sartorius.evaluation.report import figures
from napari_sartorius.evaluation.report.page_tables import NOTHING, category_table, image_table
from napari_sartorius.evaluation.report.pictures import CasePictures
from napari_sartorius.evaluation.results import EvaluationResult

if TYPE_CHECKING:
    from napari_sartorius.evaluation.results import ImageResult

_OUTCOME_HINTS = {
    "matched": "a found object with a true one of its own, IoU above 0.5",
    "missed": "a true object that nothing found matches",
    "extra": "a found object that no true one matches",
    "merged": "a found object that covers more than half of two or more true ones",
    "split": "a true object that covers more than half of two or more found ones",
}


@dataclass(frozen=True, eq=False)
class PageContent:
    """All that a page shows.

    Parameters
    ----------
    title : str
        What was compared, for the heading.
    result : EvaluationResult
        All figures.
    true_shapes, predicted_shapes : CellShapes
        Both sides' cells, with the same categories.
    pictures : list of (position, CasePictures)
        Images of the result that are shown, the worst first.
    """

    title: str
    result: EvaluationResult
    true_shapes: CellShapes
    predicted_shapes: CellShapes
    pictures: Sequence[tuple[int, CasePictures]]


def page(content: PageContent) -> str:
    """Return the whole page."""
    sections = [
        _headline(content),
        _curves(content.result),
        _section("categories", "Categories", category_table(content.result)),
        _worst(content),
        _ranking(content),
        _shapes(content),
    ]
    return _document(content.title, "".join(sections))


def histogram_page(title: str, shapes: CellShapes) -> str:
    """Return a page with the shapes of one data set's cells, category by category."""
    return _document(title, f"<h1>{escape(title)}</h1>\n{_histograms(shapes, None)}")


def _document(title: str, body: str) -> str:
    style, script = (
        (resources.files(__package__) / name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<main>\n{body}</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _section(name: str, heading: str, body: str) -> str:
    return f'<section id="{name}">\n<h2>{heading}</h2>\n{body}</section>\n'


def _headline(content: PageContent) -> str:
    result, counts = content.result, content.result.counts
    precision, counting = result.average_precision, result.counting
    recall = counts.matched / counts.truths if counts.truths else math.nan
    right = counts.matched / counts.predictions if counts.predictions else math.nan
    cards = [
        (f"{result.competition_score:.3f}", "competition mAP"),
        (_number(precision.ap), "COCO AP"),
        (_number(precision.ap50), "COCO AP50"),
        (_percent(recall), "of the true objects found"),
        (_percent(right), "of the found objects right"),
        (_signed(counting.total_relative), "found objects less true ones"),
        (_number(result.calibration.expected_error), "calibration error of scores"),
    ]
    body = "".join(f'<div class="card"><b>{v}</b><span>{text}</span></div>\n' for v, text in cards)
    return (
        f"<h1>{escape(content.title)}</h1>\n"
        f'<p class="quiet">{plural(len(result.images), "image")}, {counts.truths:,} true and '
        f"{plural(counts.predictions, 'found object')}. Competition metric counted as "
        f"“{result.variant}”; COCO figures of masks with at most "
        f"{plural(result.max_detections, 'object')} an image. “Found” and “right” mean an IoU "
        f"above 0.5. Made by napari-sartorius {__version__}.</p>\n"
        f'<div class="cards">\n{body}</div>\n'
    )


def _curves(result: EvaluationResult) -> str:
    counting = result.counting
    off = f"Off by {counting.mean_absolute:.1f} objects an image"
    off += f" ({counting.mean_relative:.0%})" if not math.isnan(counting.mean_relative) else ""
    off += f", R² {counting.r2:.3f}." if not math.isnan(counting.r2) else "."
    scores = "How often objects of a score are right, at IoU 0.5: on the dotted line, always "
    scores += "as often as they say."
    if (result.calibration.counts > 0).sum() == 1:
        scores = "All objects have nearly the same score: it tells nothing about them."
    ones = (
        ("Precision over overlap", figures.precision_over_iou, "The mean is the competition mAP."),
        ("Precision and recall", figures.precision_recall, "Mean over the categories."),
        ("Scores", figures.reliability, scores),
        ("Counts", figures.counts, off),
    )
    body = "".join(
        f"<figure><h3>{heading}</h3>{draw(result)}<figcaption>{text}</figcaption></figure>\n"
        for heading, draw, text in ones
    )
    bars = (
        '<figure class="wide"><h3>What became of the objects</h3>'
        f"{_legend()}{figures.outcome_bars(result)}</figure>\n"
    )
    return _section("curves", "Curves", f'{bars}<div class="figures">\n{body}</div>\n')


def _legend() -> str:
    colours = {outcome.name.lower(): colour for outcome, colour in OUTCOMES.items()}
    return '<p class="legend">{}</p>'.format(
        "".join(
            f'<span title="{hint}"><i style="background:{colours[name]}"></i>{name}</span>'
            for name, hint in _OUTCOME_HINTS.items()
        )
    )


def _worst(content: PageContent) -> str:
    if not content.pictures:
        if content.result.competition_score < 1:
            return ""  # none were asked for
        return _section("worst", "Worst images", "<p>No image has a mistake to show.</p>\n")
    hints = "; ".join(f"<b>{name}</b>: {hint}" for name, hint in _OUTCOME_HINTS.items())
    body = f"{_legend()}\n<p class='quiet'>{hints}. Click a picture to enlarge it.</p>\n"
    missing = sum(not pictures.has_image for _, pictures in content.pictures)
    if missing:
        body += (
            f'<p class="notice">The {agree(missing, "file", "files")} of {missing:,} of these '
            f"images {agree(missing, 'was', 'were')} not found beside the annotations: "
            f"{agree(missing, 'its', 'their')} objects are drawn on a plain ground.</p>\n"
        )
    for position, pictures in content.pictures:
        body += _case(position, content.result.images[position], pictures)
    return _section("worst", "Worst images", body)


def _case(position: int, image: ImageResult, pictures: CasePictures) -> str:
    counts = image.outcomes.counts
    panels = (
        (pictures.truth, f"truth: {plural(counts.truths, 'object')}"),
        (pictures.predicted, f"found: {plural(image.predicted_count, 'object')}"),
        (
            pictures.errors,
            f"{counts.matched} matched, {counts.missed} missed, {counts.extra} extra, "
            f"{counts.merged} merged, {counts.split} split",
        ),
    )
    name = escape(image.file_name, quote=True)
    shown = "".join(
        f'<figure><img src="{address}" alt="{name}: {text}">'
        f"<figcaption>{text}</figcaption></figure>\n"
        for address, text in panels
    )
    kind = f" · {escape(image.category)}" if image.category else ""
    return (
        f'<article class="case" id="image-{position}"><h3>{name}</h3>'
        f'<span class="quiet">mAP {image.competition.score:.3f}{kind}</span>\n'
        f"<div>\n{shown}</div></article>\n"
    )


def _ranking(content: PageContent) -> str:
    shown = {position for position, _ in content.pictures}
    body = (
        '<p class="quiet">The worst first; click a heading to sort by it.</p>\n'
        f"{image_table(content.result, shown)}"
    )
    return _section("images", "All images", body)


def _shapes(content: PageContent) -> str:
    note = '<p class="quiet">Every object as it was found, before overlaps are removed.</p>\n'
    body = _histograms(content.true_shapes, content.predicted_shapes)
    return _section("shapes", "Shapes", note + body)


def _histograms(truth: CellShapes, predicted: CellShapes | None) -> str:
    body = ""
    for category, name in enumerate(truth.category_names):
        sides = [truth] if predicted is None else [truth, predicted]
        if any(len(side.of("area", category)) for side in sides):
            body += (
                f'<figure class="wide"><h3>{escape(name)}</h3>'
                f"{figures.shape_histograms(sides, category)}</figure>\n"
            )
    return body


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.3f}"


def _percent(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.0%}"


def _signed(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:+.1%}"
