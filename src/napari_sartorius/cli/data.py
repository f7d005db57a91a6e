"""``napari-sartorius data``: look at annotated images, convert, split and count them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.data_check import check
from napari_sartorius.cli.source import SHOWN, read_source, refuse_own_source, told_counts
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural, some_of

data_app = typer.Typer(
    help="Check, convert, split and count annotated images.", no_args_is_help=True
)
data_app.command()(check)

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="COCO file (LIVECell's, too), train.csv, DSB folder, folder with pairs of images and "
        "labels, or project.",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(help="Where to look for images that are not where the annotations say."),
]


@data_app.command()
def convert(
    source: Source,
    output: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="A .json file to write as COCO, or a folder for --format."
        ),
    ],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="A,B",
            help="coco, coco-polygons, livecell, train-csv, dsb, labels, zarr, rois, geojson, ...",
        ),
    ] = "coco",
    images: Images = None,
    split: Annotated[str | None, typer.Option(help="Only images of this split, such as val.")] = (
        None
    ),
) -> None:
    """Write annotated images in another form; masks stay exact to the pixel."""
    from napari_sartorius.io.coco import write_coco
    from napari_sartorius.io.exporting import export_dataset, whole_files
    from napari_sartorius.io.rebasing import rebased

    names = [name.strip().lower() for name in formats.split(",") if name.strip()]
    as_file = output.suffix.lower() == ".json"
    refuse_own_source(source, [output] if as_file else whole_files(output, names))
    if as_file and names != ["coco"]:
        raise UserError(f"{output} is a file, which holds COCO only: name a folder for {formats}.")
    with ConsoleMonitor() as monitor:
        dataset = read_source(source, images, monitor, split)
        dataset = rebased(dataset, output.parent if as_file else output)
        if as_file:
            write_coco(output, dataset)
            written = [output]
        else:
            written = export_dataset(dataset, output, names, monitor)
    typer.echo(f"{told_counts(dataset)}: {some_of(written, SHOWN)}")


@data_app.command("split")
def split_data(
    source: Source,
    output: Annotated[Path, typer.Option("--out", "-o", help="The .json file to write.")],
    share: Annotated[float, typer.Option(help="Of the images that validates.")] = 0.2,
    folds: Annotated[
        int | None, typer.Option(help="Make so many folds instead; fold 0 is marked val.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD,...",
            help="Fields of the images that stay on one side together, such as plate,well; none "
            "for no groups. By default group, plate_well or field, where the images have it.",
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option(help="Field of the images by which the split is stratified.")
    ] = "cell_type",
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    images: Images = None,
) -> None:
    """Mark images as train and val, or give them folds.

    No group is on both sides, and each side gets its share of every kind of image.
    """
    from napari_sartorius.io.coco import write_coco
    from napari_sartorius.io.rebasing import rebased
    from napari_sartorius.training.splitting import split_in_folds, split_in_two

    with ConsoleMonitor() as monitor:
        dataset = read_source(source, images, monitor)
    fields = None if group is None else [f.strip() for f in group.split(",") if f.strip()]
    fields = [] if fields == ["none"] else fields
    options: dict[str, Any] = {"seed": seed, "group": fields, "kind": kind}
    if folds is not None:
        dataset = split_in_folds(dataset, folds, **options)
    else:
        dataset = split_in_two(dataset, share=share, **options)
    write_coco(output, rebased(dataset, output.parent))
    field = "fold" if folds is not None else "split"
    for name in sorted({str(image.extra[field]) for image in dataset.images}):
        part = dataset.select(lambda image, name=name: str(image.extra[field]) == name)  # type: ignore[misc]
        typer.echo(
            f"{field} {name}: {plural(len(part), 'image')}, {plural(part.object_count, 'object')}"
        )
    typer.echo(str(output))


@data_app.command()
def stats(
    source: Source,
    images: Images = None,
    split: Annotated[str | None, typer.Option(help="Only images of this split.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count images and cells, and measure areas, density and grey levels."""
    from napari_sartorius.io.left_out import left_out_as_json
    from napari_sartorius.training.statistics import dataset_statistics

    with ConsoleMonitor() as monitor:
        dataset = read_source(source, images, monitor, split)
        found = dataset_statistics(dataset, monitor) | {"left_out": left_out_as_json(dataset)}
    typer.echo(json.dumps(found, indent=1) if as_json else "\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    from napari_sartorius.evaluation.result_text import aligned

    lines = [f"{plural(found['images'], 'image')}, {plural(found['objects'], 'object')}"]
    for name in ("sizes", "splits"):
        parts = [f"{key}: {count}" for key, count in list(found[name].items())[:6]]
        if parts:
            lines.append(f"{name}: {', '.join(parts)}{', ...' if len(found[name]) > 6 else ''}")
    grey = found["intensity"]
    if grey["mean"] is not None:
        of = plural(grey["images"], "image")
        lines.append(f"intensity: mean {grey['mean']}, std {grey['std']} ({of})")
    rows = found["categories"]
    columns = max((list(row) for row in rows), key=len, default=[])
    # As text, for numbers of pixels and cells need no four decimals.
    table = [[str(row.get(column, "-")) for column in columns] for row in rows]
    return [*lines, "", *aligned(columns, table)] if rows else lines
