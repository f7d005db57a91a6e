"""``napari-sartorius export``: annotated or segmented images in the form another program reads."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.source import SHOWN, read_source, refuse_own_source, told_counts
from napari_sartorius.core.wording import some_of


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A project's folder, a COCO file, the competition's train.csv, or a DSB folder.",
        ),
    ],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="A,B",
            help="coco, coco-polygons, livecell, results, submission, train-csv, dsb, labels, "
            "zarr, rois (ImageJ), geojson (QuPath), table.",
        ),
    ],
    split: Annotated[
        str | None, typer.Option(help="Only images whose record says this split, such as val.")
    ] = None,
) -> None:
    """Write annotated images in other forms.

    Masks stay exact to the pixel in all of them. Where cells overlap and a form can hold one cell
    per pixel only, that is said.
    """
    from napari_sartorius.io.exporting import export_dataset, whole_files

    names = [name.strip().lower() for name in formats.split(",") if name.strip()]
    refuse_own_source(source, whole_files(output, names))
    with ConsoleMonitor() as monitor:
        dataset = read_source(source, None, monitor, split)
        written = export_dataset(dataset, output, names, monitor)
    typer.echo(f"{told_counts(dataset)}: {some_of(written, SHOWN)}")
