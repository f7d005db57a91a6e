"""``napari-sartorius segment``: find the cells of files and folders and write what was found."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.errors import FAILED, Stopped
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from napari_sartorius.engine.batch.run import BatchSummary


def segment(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Image files and folders of images.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    model: Annotated[
        str, typer.Option(help="Name of a model (see `models list`) or path of a bundle.")
    ] = "neurons",
    cell_type: Annotated[
        str, typer.Option(help="auto: the majority of each image; or the name of a category.")
    ] = "auto",
    preset: Annotated[str, typer.Option(help="fast, balanced or best.")] = "balanced",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    diameter: Annotated[
        float | None, typer.Option(help="Typical cell diameter in pixels, when it differs.")
    ] = None,
    pixel_size: Annotated[
        float | None,
        typer.Option(
            help="Micrometres per pixel, when the files do not say; for models whose card names a "
            "pixel size. The bundled ones name none: give them --diameter."
        ),
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Lowest score of a kept object, 0 to 1.")
    ] = None,
    max_objects: Annotated[
        int | None,
        typer.Option(help="Most objects of a tile; you are told when the limit is reached."),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Comma-separated: coco, results, labels, csv, overlay, submission.",
        ),
    ] = "coco,labels,csv,overlay",
    recursive: Annotated[bool, typer.Option("--recursive", help="Search subfolders too.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip images that an earlier run has finished.")
    ] = False,
    tile: Annotated[
        str, typer.Option(help="auto, off, or the edge of the tiles in pixels.")
    ] = "auto",
    channel: Annotated[
        str,
        typer.Option(
            help="Of colour images: auto, luminance, hematoxylin (nuclei of stained tissue), or a "
            "number from 0."
        ),
    ] = "auto",
    rescore: Annotated[
        str,
        typer.Option(
            help="Judge each object with the model's second level: auto (with the preset best), on "
            "or off."
        ),
    ] = "auto",
    json: Annotated[
        bool, typer.Option("--json", help="Print a machine-readable summary on stdout.")
    ] = False,
) -> None:
    """Find every cell in images and write masks, tables and pictures of the result.

    Stacks are done plane by plane. A broken image is reported at the end while the others are
    done; the exit code is then 1. Ctrl+C keeps what is finished: go on with --resume.
    """
    from napari_sartorius.cli.ensemble_text import cost_line
    from napari_sartorius.engine.batch.outputs import parse_formats
    from napari_sartorius.engine.batch.segment_files import segment_files
    from napari_sartorius.engine.settings import segment_config
    from napari_sartorius.zoo import find_bundle

    config = segment_config(
        model=model,
        cell_type=cell_type,
        preset=preset,
        device=device,
        diameter=diameter,
        pixel_size=pixel_size,
        min_score=min_score,
        max_objects_per_tile=max_objects,
        tile=_tile(tile),
        channel=_channel(channel),
        rescore=_switch(rescore),
    )
    chosen = parse_formats(formats)
    typer.echo(cost_line(find_bundle(config.model).card, config.preset), err=True)
    try:
        with ConsoleMonitor() as monitor:
            summary = segment_files(
                inputs, output, config, chosen, recursive=recursive, resume=resume, monitor=monitor
            )
    except (KeyboardInterrupt, Cancelled):
        raise Stopped(
            "Stopped: what was finished is kept, run the same command with --resume to go on."
        ) from None
    _report(summary, output, json)
    if summary.failed:
        raise typer.Exit(FAILED)


def _tile(value: str) -> str | int:
    if value in ("auto", "off"):
        return value
    try:
        return int(value)
    except ValueError:
        raise UserError(
            f"--tile cannot be {value!r}: use auto, off, or a number of pixels."
        ) from None


def _switch(value: str) -> str | bool:
    choices: dict[str, str | bool] = {"auto": "auto", "on": True, "off": False}
    if value not in choices:
        raise UserError(f"--rescore cannot be {value!r}: use auto, on or off.")
    return choices[value]


def _channel(value: str) -> str | int:
    return int(value) if value.isdecimal() else value


def _report(summary: BatchSummary, output: Path, json: bool) -> None:
    if json:
        typer.echo(jsonlib.dumps({"output": str(output), **summary.to_dict()}, indent=1))
    else:
        for record in summary.done:
            again = " (done before)" if record.file_name in summary.skipped else ""
            typer.echo(f"{record.file_name}: {in_words(record.counts)}{again}")
        if summary.done:
            count = plural(len(summary.done), "image")
            typer.echo(f"{count}, {in_words(summary.counts)}; results in {output}")
    for failure in summary.failed:
        typer.echo(f"Error: {failure.sentence}", err=True)
    if summary.failed:
        total = len(summary.failed) + len(summary.done)
        typer.echo(
            f"{len(summary.failed):,} of {plural(total, 'image')} could not be done.", err=True
        )


def in_words(counts: dict[str, int]) -> str:
    """Total and parts, for example ``12 objects (10 cort, 2 astro)``."""
    total = sum(counts.values())
    parts = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return plural(total, "object") + (f" ({parts})" if parts and len(counts) > 1 else "")
