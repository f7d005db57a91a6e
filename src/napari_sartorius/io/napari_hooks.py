"""What napari calls to open and save files with this plugin; named in the manifest.

napari itself is not imported: layers travel as tuples (data, keyword arguments, layer type).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco import read_coco, write_coco
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
from napari_sartorius.io.dataset_from_layers import (
    dataset_from_layers,
    layer_labels,
    layer_pixel_size,
    lead_axes,
)
from napari_sartorius.io.dsb import is_dsb_folder, read_dsb
from napari_sartorius.io.geojson import read_geojson
from napari_sartorius.io.imagej_rois import read_rois
from napari_sartorius.io.images import read_image
from napari_sartorius.io.importing import image_beside, is_roi_zip
from napari_sartorius.io.kaggle import read_train_csv
from napari_sartorius.io.label_features import labels_with_features
from napari_sartorius.io.label_room import with_room
from napari_sartorius.io.labels_tiff import (
    is_marked,
    label_placement,
    read_labels,
    write_labels,
)
from napari_sartorius.io.layer_table import LayerTable
from napari_sartorius.io.layers_from_dataset import LayerData, dataset_layers
from napari_sartorius.io.ome_zarr_labels import read_zarr_labels
from napari_sartorius.io.placement import Placement, keywords_of_sizes, layer_steps
from napari_sartorius.io.table_csv import read_table, write_table

Paths: TypeAlias = str | Sequence[str]
Reader: TypeAlias = Callable[[Paths], list[LayerData]]

_ANYWHERE = (1 << 20, 1 << 20)  # larger than any image that napari shows as one array


def get_coco_reader(path: Paths) -> Reader | None:
    """Offer to open ``*.json`` files that hold COCO annotations."""
    return _reader(read_coco) if all(_mentions_coco(p) for p in _each(path)) else None


def get_train_csv_reader(path: Paths) -> Reader | None:
    """Offer to open the Sartorius competition's ``train.csv``."""
    return _reader(read_train_csv) if all(_is_train_csv(p) for p in _each(path)) else None


def get_dsb_reader(path: Paths) -> Reader | None:
    """Offer to open folders with one mask file per object."""
    return _reader(read_dsb) if all(is_dsb_folder(p) for p in _each(path)) else None


def get_labels_reader(path: Paths) -> Reader | None:
    """Offer to open label images, as labels with their pixel size instead of as a picture.

    They are known by their name (``a_labels.tif``) or by the mark of the program that wrote them:
    this one. Every other TIFF is a picture for other readers.
    """
    return read_label_layers if all(map(_is_label_image, _each(path))) else None


def get_outlines_reader(path: Paths) -> Reader | None:
    """Offer to open zips of ImageJ regions and GeoJSON files."""
    fits = all(p.suffix.lower() == ".geojson" or is_roi_zip(p) for p in _each(path))
    return read_outline_layers if fits else None


def get_zarr_labels_reader(path: Paths) -> Reader | None:
    """Offer to open the label images that this plugin writes as OME-Zarr."""
    return read_zarr_layers if all((p / ".zattrs").is_file() for p in _each(path)) else None


def read_outline_layers(path: Paths) -> list[LayerData]:
    """Open regions as labels layers of the size of the image beside the file.

    The image of ``a_rois.zip`` is ``a.tif`` or ``a.png`` in the same folder. Without one the labels
    reach as far as the regions do; they lie at the right place all the same.

    Raises
    ------
    UserError
        When a file cannot be read.
    """
    layers: list[LayerData] = []
    for file in _each(path):
        read = read_geojson if file.suffix.lower() == ".geojson" else read_rois
        picture = image_beside(file)
        if picture is not None:
            found, kinds = read(file, read_image(picture).size)
        else:
            found, kinds = read(file, _ANYWHERE)
            x1, y1 = found.masks.boxes[:, 2:].max(axis=0, initial=1).tolist()
            masks = CropMasks(found.masks.bits, found.masks.boxes, (y1, x1))
            found = Instances.from_masks(masks, found.scores, found.categories)
        height, width = found.image_size
        name = picture.name if picture is not None else f"{file.stem}.tif"
        record = CocoImage(1, name, width, height)
        dataset = CocoDataset([record], kinds, {1: found}, {}, file.parent)
        layers += [one for one in dataset_layers(dataset, record.stem) if one[2] == "labels"]
    return layers


def read_zarr_layers(path: Paths) -> list[LayerData]:
    """Open OME-Zarr label images as labels layers, in full resolution and in memory.

    Raises
    ------
    UserError
        When zarr is not installed or a folder holds no labels.
    """
    layers: list[LayerData] = []
    for file in _each(path):
        labels, axes, spacing = read_zarr_labels(file)
        lead = labels.ndim - 2
        keywords: dict[str, Any] = {"name": file.stem, "axis_labels": tuple(axes.lower())}
        if spacing is not None:
            keywords["scale"] = (1.0,) * lead + spacing
            keywords["units"] = ("pixel",) * lead + ("um", "um")
        layers.append((with_room(labels), keywords, "labels"))
    return layers


def read_label_layers(path: Paths) -> list[LayerData]:
    """Open label images as labels layers.

    The table that was written beside an image (``a_objects.csv`` for ``a_labels.tif``) becomes
    the layer's features. In a stack whose labels count from 1 in each plane they are numbered
    through then, because a label of a layer has one row.

    Raises
    ------
    UserError
        When a file cannot be read or holds no labels.
    """
    layers: list[LayerData] = []
    for file in _each(path):
        image = read_labels(file)
        labels = image.to_array()
        keywords: dict[str, Any] = {"name": file.stem, "axis_labels": tuple(image.axes.lower())}
        table = file.with_name(file.stem.removesuffix("_labels") + "_objects.csv")
        if table.is_file():
            rows = read_table(table)
            labels, keywords["features"] = labels_with_features(labels, image.axes, rows)
        place = label_placement(file, len(image.axes))
        sizes = keywords_of_sizes(image.axes, image.pixel_size_yx, image.steps)
        keywords |= place.keywords() if place is not None else sizes
        layers.append((with_room(labels), keywords, "labels"))
    return layers


def write_coco_file(path: str, layers: list[LayerData]) -> list[str]:
    """Save labels layers, with the image layers among them, as one COCO dataset.

    Raises
    ------
    UserError
        When there is nothing to save or the file cannot be written.
    """
    target = Path(path)
    write_coco(target, dataset_from_layers(target, layers))
    return [path]


def write_labels_file(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a labels layer as label TIFF, smallest unsigned type, with its sizes and place.

    Raises
    ------
    UserError
        When values are no labels or the file cannot be written.
    """
    labels = layer_labels(data, meta)
    lead = labels.ndim - 2
    axes = lead_axes(meta, lead)
    axes = axes if axes != "ZT" else ""  # OME readers expect no such order
    write_labels(
        path,
        labels,
        pixel_size=layer_pixel_size(meta),
        axes=f"{axes}YX" if axes else None,
        steps=layer_steps(meta, axes),
        placement=Placement.of_layer(meta, labels.ndim),
    )
    return [path]


def write_table_file(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save the table of a labels layer's objects as CSV, measured anew from the pixels.

    Raises
    ------
    UserError
        When values are no labels or the file cannot be written.
    """
    labels = layer_labels(data, meta)
    rows = LayerTable(meta)
    tables = []
    for index in np.ndindex(*labels.shape[:-2]):
        plane = labels[index]
        instances = rows.instances(plane, rows.category_names)
        table = instances.table(layer_pixel_size(meta), rows.category_names)
        table["index"] = np.unique(plane[plane > 0]).astype(np.int64)
        for axis, place in enumerate(index):
            table[f"axis-{axis}"] = np.full(len(instances), place)
        tables.append(table)
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    write_table(path, {name: np.concatenate([t[name] for t in tables]) for name in shared})
    return [path]


def _reader(read: Callable[[Path], CocoDataset]) -> Reader:
    def open_datasets(path: Paths) -> list[LayerData]:
        return [layer for file in _each(path) for layer in dataset_layers(read(file), _title(file))]

    return open_datasets


def _each(path: Paths) -> list[Path]:
    return [Path(path)] if isinstance(path, str) else [Path(p) for p in path]


def _title(path: Path) -> str:
    # "annotations" says little; the folder's name usually says what it is about.
    generic = path.stem.lower() in {"annotations", "instances", "train"}
    return path.absolute().parent.name if generic else path.stem


def _is_label_image(path: Path) -> bool:
    return path.is_file() and (path.stem.lower().endswith("_labels") or is_marked(path))


def _mentions_coco(path: Path) -> bool:
    """Whether the keys of a COCO dataset occur; searched without parsing, files can be huge."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return text.find(b'"annotations"') >= 0 and text.find(b'"images"') >= 0
    except (OSError, ValueError):
        return False


def _is_train_csv(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline(1000).strip().split(",")
    except OSError:
        return False
    return {"id", "annotation", "cell_type"} <= set(header)
