"""Annotated images in every form that other programs read: one table, one line per form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco, write_coco_results
from napari_sartorius.io.dsb import write_dsb
from napari_sartorius.io.geojson import write_geojson
from napari_sartorius.io.image_names import unique_names
from napari_sartorius.io.imagej_rois import write_rois
from napari_sartorius.io.kaggle import write_train_csv
from napari_sartorius.io.labels_tiff import write_labels
from napari_sartorius.io.ome_zarr_labels import write_zarr_labels
from napari_sartorius.io.submission import write_submission
from napari_sartorius.io.table_csv import write_instances_csv

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class ExportFormat:
    """One form of export.

    Attributes
    ----------
    title
        What it is, for people.
    end
        File name, or for a form with a file per image what follows its name.
    write_all
        Writes all images into one file or folder; None for a file per image.
    write_one
        Writes one image.
    flattens
        Whether a pixel can belong to one object only.
    """

    title: str
    end: str
    write_all: Callable[[Path, CocoDataset], None] | None = None
    write_one: Callable[[Path, Instances, CocoDataset, CocoImage], None] | None = None
    flattens: bool = False


EXPORT_FORMATS: dict[str, ExportFormat] = {
    "coco": ExportFormat("COCO, run lengths", "annotations.json", write_coco),
    "coco-polygons": ExportFormat(
        "COCO, polygons",
        "annotations_polygons.json",
        lambda path, data: write_coco(path, data, shape="polygons"),
    ),
    "livecell": ExportFormat(
        "COCO as LIVECell writes it",
        "livecell.json",
        lambda path, data: write_coco(path, data, shape="polygons", keyed=True),
    ),
    "results": ExportFormat("COCO results list", "results.json", write_coco_results),
    "submission": ExportFormat(
        "Kaggle submission",
        "submission.csv",
        lambda path, data: write_submission(path, dict(_named(data))),
        flattens=True,
    ),
    "train-csv": ExportFormat("Kaggle train.csv", "train.csv", write_train_csv),
    "dsb": ExportFormat("a mask image per cell (DSB 2018)", "dsb", write_dsb),
    "labels": ExportFormat(
        "label TIFF",
        "_labels.tif",
        write_one=lambda path, found, _, image: write_labels(
            path, found.masks.to_labels(), pixel_size=image.pixel_size_yx
        ),
        flattens=True,
    ),
    "zarr": ExportFormat(
        "OME-Zarr labels",
        "_labels.zarr",
        write_one=lambda path, found, _, image: write_zarr_labels(
            path, found.masks.to_labels(), pixel_size_yx=image.pixel_size_yx
        ),
        flattens=True,
    ),
    "rois": ExportFormat(
        "ImageJ regions (zip)",
        "_rois.zip",
        write_one=lambda path, found, data, _: write_rois(path, found, data.categories),
    ),
    "geojson": ExportFormat(
        "GeoJSON for QuPath",
        ".geojson",
        write_one=lambda path, found, data, _: write_geojson(path, found, data.categories),
    ),
    "table": ExportFormat(
        "table of measurements",
        "_objects.csv",
        write_one=lambda path, found, data, image: write_instances_csv(
            path, found, pixel_size=image.pixel_size_yx, category_names=data.category_names
        ),
    ),
}
"""By the name that a user gives."""


def export_dataset(
    dataset: CocoDataset, folder: str | Path, formats: Iterable[str], monitor: Monitor | None = None
) -> list[Path]:
    """Write a dataset in some forms.

    Parameters
    ----------
    dataset
        Annotated images.
    folder
        Where to; files of the same names are replaced, each atomically. Forms that are folders
        (dsb, zarr) need free names.
    formats
        Keys of `EXPORT_FORMATS`.
    monitor
        Hears of progress, is told where overlapping objects were flattened, may cancel.

    Returns
    -------
    list of Path
        The files and folders written.

    Raises
    ------
    UserError
        When a form is unknown or something cannot be written.
    """
    folder, monitor = Path(folder), monitor or Monitor()
    chosen = list(dict.fromkeys(formats))
    unknown = [name for name in chosen if name not in EXPORT_FORMATS]
    if unknown or not chosen:
        known = ", ".join(EXPORT_FORMATS)
        names = " or ".join(map(repr, unknown))
        fault = f"there is no export format {names}" if unknown else "no export format is named"
        raise UserError(f"{fault}: choose among {known}")
    written: list[Path] = []
    steps = sum(1 if EXPORT_FORMATS[n].write_all else len(dataset.images) for n in chosen) or 1
    done = 0
    for name in chosen:
        form = EXPORT_FORMATS[name]
        jobs = [(form.end, None)] if form.write_all else list(_files(dataset, form))
        for file, image in jobs:
            monitor.check()
            monitor.progress(f"writing {form.title}", done / steps)
            target = folder / file
            if form.write_all is not None:
                form.write_all(target, dataset)
            elif form.write_one is not None and image is not None:
                form.write_one(target, dataset.instances[image.id], dataset, image)
            written.append(target)
            done += 1
    if any(EXPORT_FORMATS[name].flattens for name in chosen):
        _tell_flattened(dataset, [n for n in chosen if EXPORT_FORMATS[n].flattens], monitor)
    monitor.progress("done", 1.0)
    return written


def whole_files(folder: Path, formats: Iterable[str]) -> list[Path]:
    """Where `export_dataset` writes the forms that hold all images in one file."""
    known = [EXPORT_FORMATS[name] for name in formats if name in EXPORT_FORMATS]
    return [folder / form.end for form in known if form.write_all is not None]


def _files(dataset: CocoDataset, form: ExportFormat) -> Iterable[tuple[str, CocoImage]]:
    """File name and image record of each image."""
    by_name = {
        image.id: name
        for image, name in zip(dataset.images, unique_names(dataset.images), strict=True)
    }
    return [(by_name[image.id] + form.end, image) for image in dataset.images]


def _named(dataset: CocoDataset) -> list[tuple[str, Instances]]:
    names = unique_names(dataset.images)
    return [(n, dataset.instances[i.id]) for n, i in zip(names, dataset.images, strict=True)]


def _tell_flattened(dataset: CocoDataset, formats: list[str], monitor: Monitor) -> None:
    """Say how many objects lost pixels to others because the form holds one object per pixel."""
    lost = 0
    for image in dataset.images:
        masks = dataset.instances[image.id].masks
        if len(masks):
            lost += int(np.count_nonzero(masks.remove_overlap().area() < masks.area()))
    if lost:
        kept = ", ".join(n for n, form in EXPORT_FORMATS.items() if not form.flattens)
        monitor.notice(
            f"{plural(lost, 'cell')} {agree(lost, 'overlaps', 'overlap')} others and lost the "
            f"shared pixels in {', '.join(formats)}, which can hold one cell per pixel; {kept} "
            f"keep {agree(lost, 'it', 'them')} whole"
        )
