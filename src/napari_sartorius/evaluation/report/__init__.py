"""An evaluation as a page to read and files to compute with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.progress import Monitor
from napari_sartorius.evaluation.cell_shape import measure_cells
from napari_sartorius.evaluation.report.figures import require_matplotlib
from napari_sartorius.evaluation.report.page import PageContent, histogram_page, page
from napari_sartorius.evaluation.report.pictures import draw_case, worst_images
from napari_sartorius.evaluation.report.tables import (
    category_columns,
    image_columns,
    object_columns,
    shape_columns,
)
from napari_sartorius.io.atomic import write_text
from napari_sartorius.io.table_csv import write_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_sartorius.evaluation.cases import Cases
    from napari_sartorius.evaluation.cell_shape import CellShapes
    from napari_sartorius.evaluation.report.pictures import CasePictures
    from napari_sartorius.evaluation.results import EvaluationResult

__all__ = ["WORST", "require_matplotlib", "write_histograms", "write_report"]

WORST = 6
_NO_MONITOR = Monitor()


def write_report(
    folder: str | Path,
    cases: Cases,
    result: EvaluationResult,
    *,
    title: str = "Evaluation",
    worst: int = WORST,
    monitor: Monitor = _NO_MONITOR,
) -> list[Path]:
    """Write a page and the same figures as JSON and CSV.

    Everything is computed before the first file is written, so a cancel leaves nothing behind.

    Parameters
    ----------
    folder : path
        Made if missing; files of an earlier report are replaced.
    cases : Cases
        Truth and prediction.
    result : EvaluationResult
        What `evaluate_cases` found for them.
    title : str
        Heading of the page.
    worst : int
        How many of the images with the lowest scores to draw.
    monitor : Monitor
        Hears of progress; may cancel.

    Returns
    -------
    list of Path
        ``report.html``, ``report.json``, ``images.csv``, ``objects.csv``, ``categories.csv`` and
        ``shapes.csv`` (statistics of the true and the found cells).

    Raises
    ------
    UserError
        If matplotlib is missing or the folder cannot be written to.
    """
    require_matplotlib()
    folder = Path(folder)
    monitor.progress("measuring shapes", 0.0)
    names = cases.category_names
    true_shapes = measure_cells((case.truth for case in cases), names, monitor=monitor)
    found_shapes = measure_cells((case.predicted for case in cases), names, monitor=monitor)
    pictures = _pictures(cases, result, worst, monitor)
    monitor.progress("writing", 0.9)
    monitor.check()
    text = page(PageContent(title, result, true_shapes, found_shapes, pictures))
    shapes = shape_columns(true_shapes, found_shapes)
    content = {"title": title, **result.to_dict(), "shapes": _rows(shapes)}
    tables = {
        "images.csv": image_columns(result),
        "objects.csv": object_columns(cases, result),
        "categories.csv": category_columns(result),
        "shapes.csv": shapes,
    }
    monitor.check()
    write_text(folder / "report.html", text)
    write_text(folder / "report.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    for name, table in tables.items():
        write_table(folder / name, table)
    monitor.progress("writing", 1.0)
    return [folder / name for name in ("report.html", "report.json", *tables)]


def write_histograms(path: str | Path, shapes: CellShapes, *, title: str = "Cell shapes") -> None:
    """Write one page with a histogram of each shape feature per category, atomically.

    Raises
    ------
    UserError
        If matplotlib is missing or the file cannot be written.
    """
    require_matplotlib()
    write_text(path, histogram_page(title, shapes))


def _pictures(
    cases: Cases, result: EvaluationResult, count: int, monitor: Monitor
) -> list[tuple[int, CasePictures]]:
    chosen = worst_images(result, count)
    pictures = []
    for done, position in enumerate(chosen):
        monitor.check()
        monitor.progress("drawing", 0.1 + 0.8 * done / len(chosen))
        case = cases.cases[position]
        pictures.append((position, draw_case(case, result.images[position].outcomes)))
    if any(not drawn.has_image for _, drawn in pictures):
        monitor.notice(
            "Some image files were not found beside the annotations: their objects are drawn on a "
            "plain ground."
        )
    return pictures


def _rows(table: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Return a table row by row as plain types; not-a-number becomes None."""
    columns = [
        [None if value != value else value for value in column.tolist()]
        for column in table.values()
    ]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]
