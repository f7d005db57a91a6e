"""``napari-sartorius import``: annotations of other programs into a project or a COCO file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.cli.source import told_counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sartorius.core.categories import Category
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.io.coco_dataset import CocoImage


def import_annotations(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="COCO file, train.csv, DSB folder, project, ImageJ zip, GeoJSON, label image "
            "(TIFF, PNG, OME-Zarr), COCO results list or submission.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="A project's folder, new or not, or a .json file to write as COCO."
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the images, or one of them, for sources that do not name theirs; by "
            "default the folder that the source is in."
        ),
    ] = None,
) -> None:
    """Bring annotations in from the forms of other programs.

    What `export` writes comes back exact to the pixel. A project holds one cell per pixel while it
    is edited; where cells overlap, that is said. A COCO file keeps them whole.
    """
    if output.suffix.lower() == ".json":
        _to_coco(sources, output, images)
    else:
        _to_project(sources, output, images)


def _to_coco(sources: list[Path], output: Path, images: Path | None) -> None:
    from napari_sartorius.io.coco import write_coco
    from napari_sartorius.io.importing import read_annotations
    from napari_sartorius.io.joining import join_datasets
    from napari_sartorius.io.project.folder import relative_name

    known = _pictures(sources, images)
    folder = known.folder or output.parent
    with ConsoleMonitor() as monitor:
        parts = [read_annotations(one, known.images, folder, monitor=monitor) for one in sources]
    joined = join_datasets(parts)
    records = [
        replace(image, file_name=relative_name(joined.image_path(image), output.parent))
        for image in joined.images
    ]
    write_coco(output, replace(joined, images=records, folder=output.parent))
    typer.echo(f"{told_counts(joined)}: {output}")


def _to_project(sources: list[Path], output: Path, images: Path | None) -> None:
    from napari_sartorius.io.project import create_project, open_project
    from napari_sartorius.io.project.imported import import_sources

    known = _pictures(sources, images)
    exists = (output / "annotations.json").is_file()
    project = open_project(output) if exists else create_project(output, _kinds(sources))
    try:
        there = {image.stem for image in project.images}
        new = replace(known, images=[one for one in known.images if one.stem not in there])
        paths = [new.image_path(image) for image in _meant(sources, new, project.categories)]
        project.add_files(list(dict.fromkeys(path for path in paths if path.is_file())))
        came = import_sources(project, sources)
    finally:
        project.close()
    typer.echo(f"{output}: {came.sentence()}")


def _meant(
    sources: list[Path], pictures: CocoDataset, kinds: Sequence[Category]
) -> Iterator[CocoImage]:
    """Those pictures that the sources are about: the others stay out of a project."""
    from napari_sartorius.core.errors import UserError
    from napari_sartorius.io.importing import read_annotations

    folder = pictures.folder or Path()
    for source in sources:
        # It may be about an image that the project has; what else is wrong is told when its
        # cells are read.
        with suppress(UserError):
            yield from read_annotations(source, pictures.images, folder, kinds).images


def _pictures(sources: list[Path], images: Path | None) -> CocoDataset:
    """All images that the sources may be about."""
    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
    from napari_sartorius.io.importing import images_in, needs_images
    from napari_sartorius.io.sources import read_dataset

    parts = [images_in(images)] if images is not None else []
    for source in sources:
        if images is None:
            parts.append(images_in(source.parent) if needs_images(source) else read_dataset(source))
    by_path: dict[str, tuple[CocoImage, Path]] = {}
    for part in parts:
        for image in part.images:
            path = part.image_path(image).absolute()
            key = f"{path} {image.extra.get('plane', '')}"
            by_path.setdefault(key, (image, path))
    found = [
        CocoImage(n, str(path), image.width, image.height, image.extra)
        for n, (image, path) in enumerate(by_path.values(), start=1)
    ]
    kinds = list({kind.name: kind for part in parts for kind in part.categories}.values())
    return CocoDataset(found, kinds, {})  # the file names are whole paths


def _kinds(sources: list[Path]) -> list[str]:
    """Categories that a new project begins with."""
    from napari_sartorius.io.importing import needs_images
    from napari_sartorius.io.sources import read_dataset

    tables = [read_dataset(one).category_names for one in sources if not needs_images(one)]
    return list(dict.fromkeys(name for names in tables for name in names)) or ["cell"]
