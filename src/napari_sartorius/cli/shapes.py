"""``napari-sartorius shapes``: what the cells of a data set look like, as a table and a page."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from napari_sartorius.evaluation.cell_shape import CellShapes, Compat


def shapes(
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="COCO dataset.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File for the 1st and 99th percentiles, for filters: .json or .csv."
        ),
    ] = None,
    statistics: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="File for the whole table.")
    ] = None,
    histograms: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="File for a page with histograms.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Only images whose record says this split, such as train.")
    ] = None,
    compat: Annotated[
        str | None,
        typer.Option(help="mistag: measure simplified outlines, as the published analysis did."),
    ] = None,
) -> None:
    """Measure the area, axes, solidity, extent and Hu moments of all annotated cells.

    Prints a table of percentiles per category.
    """
    from napari_sartorius.evaluation.cell_shape import measure_cells
    from napari_sartorius.io.coco import read_coco
    from napari_sartorius.io.table_csv import write_table
    from napari_sartorius.postprocess.shape_table import write_shape_table

    way = _compat(compat)
    if histograms is not None:
        from napari_sartorius.evaluation.report import require_matplotlib, write_histograms

        require_matplotlib()
    with ConsoleMonitor() as monitor:
        dataset = read_coco(data)
        if split is not None:
            dataset = dataset.split(split)
        images = [dataset.instances[image.id] for image in dataset.images]
        if not any(len(objects) for objects in images):
            of_split = f" of the split {split!r}" if split else ""
            raise UserError(f"{data} has no objects{of_split} to measure: choose another file.")
        found = measure_cells(images, dataset.category_names, compat=way, monitor=monitor)
        if output is not None:
            write_shape_table(output, found.table(decimals=3 if way else None))
        if statistics is not None:
            write_table(statistics, found.statistics())
        if histograms is not None:
            write_histograms(histograms, found, title=f"Cell shapes of {data.name}")
    _print(found)


def _compat(name: str | None) -> Compat | None:
    if name is None or name == "mistag":
        return name  # type: ignore[return-value]  # a Literal of one
    raise UserError(f"There is no way to measure called {name!r}: choose mistag, or leave it out.")


def _print(found: CellShapes) -> None:
    from napari_sartorius.evaluation.result_text import aligned

    table = found.statistics()
    rows = [
        [
            cell if isinstance(cell, str | int) else f"{cell:.3f}"
            for cell in (value.item() for value in row)
        ]
        for row in zip(*table.values(), strict=True)
    ]
    typer.echo("\n".join(aligned(list(table), rows)))
