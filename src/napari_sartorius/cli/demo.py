"""``napari-sartorius demo``: from image to results on two samples that need no internet."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.errors import FAILED
from napari_sartorius.cli.segment import in_words

if TYPE_CHECKING:
    from napari_sartorius.samples.demo import DemoImage


def demo(
    output: Annotated[
        Path, typer.Option("--out", "--output", "-o", help="Folder for the results.")
    ] = Path("demo_output"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Segment a stained tissue section and a generated phase-contrast field."""
    from napari_sartorius.engine.batch.outputs import DEFAULT_FORMATS
    from napari_sartorius.engine.batch.segment_files import segment_files
    from napari_sartorius.engine.settings import segment_config
    from napari_sartorius.samples.demo import demo_images

    failed = False
    for sample in demo_images():
        folder = output / sample.model
        image = _save(sample, folder)
        config = segment_config(model=sample.model, device=device, min_score=sample.min_score)
        with ConsoleMonitor() as monitor:
            summary = segment_files([image], folder, config, DEFAULT_FORMATS, monitor=monitor)
        for record in summary.done:
            known = f", {len(sample.truth)} drawn" if sample.truth is not None else ""
            typer.echo(f"{sample.name} with {sample.model}: {in_words(record.counts)}{known}")
            for name in (*record.outputs, *summary.outputs):
                typer.echo(f"  {folder / name}")
        for failure in summary.failed:
            failed = True
            typer.echo(f"Error: {failure.sentence}", err=True)
    if failed:
        raise typer.Exit(FAILED)
    if find_spec("napari") is None:
        typer.echo('For the dock install napari, too: pip install "napari-sartorius[all]".')
    typer.echo("Open the dock: start `napari`, then Plugins > Sartorius; the samples are in")
    typer.echo("File > Open Sample. Results open by dropping instances.json on the window.")


def _save(sample: DemoImage, folder: Path) -> Path:
    """Save the sample beside its results, where the COCO file expects it."""
    from io import BytesIO

    from PIL import Image

    from napari_sartorius.io.atomic import write_bytes

    buffer = BytesIO()
    Image.fromarray(sample.pixels).save(buffer, "PNG")
    path = folder / f"{sample.name}.png"
    write_bytes(path, buffer.getvalue())
    return path
