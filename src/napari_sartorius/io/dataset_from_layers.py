"""Turn napari label layers back into a dataset: what File > Save does before a file is written."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage
from napari_sartorius.io.labels_tiff import smallest_unsigned
from napari_sartorius.io.layer_table import OVERLAY_KEY, LayerTable, layer_memory
from napari_sartorius.io.pixel_size import unit_in_micrometres
from napari_sartorius.io.placement import KEY as PLACEMENT_KEY
from napari_sartorius.io.placement import Placement, is_length, layer_steps, steps_to_extra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.io.layers_from_dataset import LayerData


def dataset_from_layers(path: Path, layers: Sequence[LayerData]) -> CocoDataset:
    """Collect the objects of labels layers, one image record for every plane.

    Parameters
    ----------
    path
        The COCO file that will be written; file names are made relative to it.
    layers
        Labels layers, and image layers that show what was labelled. An image whose file is not
        known (``metadata["sartorius"]["image_path"]`` of the labels) is saved as TIFF in the
        folder ``<path>_images``, so that the dataset is complete.

    Returns
    -------
    CocoDataset
        Scores and categories come from the layers' features; a label without a row, painted by
        hand, has score 1 and the most frequent category.

    Raises
    ------
    UserError
        When there is no labels layer, values are no labels, or an image cannot be saved.
    """
    layers = [layer for layer in layers if not _is_overlay(layer)]
    images = [layer for layer in layers if layer[2] == "image"]
    labelled = [layer for layer in layers if layer[2] == "labels"]
    if not labelled:
        raise UserError(f"{path} needs at least one labels layer: select one and save again.")
    tables = [LayerTable(layer[1]) for layer in labelled]
    names = list(dict.fromkeys(name for table in tables for name in table.category_names))
    dataset = CocoDataset([], _categories(labelled, names), {}, _info(labelled), path.parent)
    saved: dict[str, LayerData] = {}
    for number, (layer, table) in enumerate(zip(labelled, tables, strict=True)):
        labels = layer_labels(layer[0], layer[1])
        picture = _picture_of(layer, labels, images, number)
        for record, plane in _planes(path, layer, labels, picture, saved):
            if record.id in dataset.instances:
                record = replace(record, id=_free_id(dataset))
            dataset.images.append(record)
            dataset.instances[record.id] = table.instances(plane, names)
    return dataset


def _is_overlay(layer: LayerData) -> bool:
    """Whether a layer only shows what is selected in another one."""
    return bool((layer[1].get("metadata") or {}).get(OVERLAY_KEY))


def layer_labels(data: Any, meta: Mapping[str, Any]) -> NDArray[Any]:
    """Return a labels layer's pixels (..., Y, X) at full resolution, smallest unsigned type."""
    if isinstance(data, list | tuple):  # multiscale
        data = data[0]
    return smallest_unsigned(np.asarray(data), str(meta.get("name", "labels layer")))


def layer_pixel_size(meta: Mapping[str, Any]) -> tuple[float, float] | None:
    """Pixel size (y, x) of a layer in micrometres, or None when its units are no lengths."""
    scale, units = meta.get("scale"), meta.get("units")
    if scale is None or units is None or len(scale) < 2 or len(units) < 2:
        return None
    factors = [unit_in_micrometres(str(unit)) for unit in units[-2:]]
    if factors[0] is None or factors[1] is None:
        return None
    y, x = abs(float(scale[-2])) * factors[0], abs(float(scale[-1])) * factors[1]
    return (y, x) if y > 0 and x > 0 else None


def _categories(layers: Sequence[LayerData], names: list[str]) -> list[Category]:
    known = {
        str(c["name"]): c for layer in layers for c in layer_memory(layer[1]).get("categories", ())
    }
    ids = [known.get(name, {}).get("id") for name in names]
    if None in ids or len(set(ids)) < len(ids):
        ids = list(range(1, len(names) + 1))
    return [
        Category(int(number), name, str(known.get(name, {}).get("colour", default_colour(n))))
        for n, (number, name) in enumerate(zip(ids, names, strict=True))
    ]


def _info(layers: Sequence[LayerData]) -> dict[str, Any]:
    info: dict[str, Any] = {}
    for layer in layers:
        memory = layer_memory(layer[1])
        info |= memory.get("info", {})
        info |= {k: memory[k] for k in ("model", "config", "device") if k in memory}
    info.pop("image_root", None)  # file names are made relative to the new file
    return info


def _picture_of(
    layer: LayerData, labels: NDArray[Any], images: Sequence[LayerData], number: int
) -> LayerData | None:
    """The image layer that was labelled: the one named in the labels' metadata, else by shape."""
    name = layer_memory(layer[1]).get("image")
    for image in images:
        # The labels may cover one slice of a stack only.
        if image[1].get("name") == name and _shape(image)[-2:] == labels.shape[-2:]:
            return image
    fitting = [image for image in images if _shape(image) == labels.shape]
    if len(fitting) == 1:
        return fitting[0]
    return fitting[number] if number < len(fitting) else None


def _pixels(image: LayerData) -> Any:
    return image[0][0] if isinstance(image[0], list | tuple) else image[0]


def _shape(image: LayerData) -> tuple[int, ...]:
    shape = tuple(_pixels(image).shape)
    return shape[:-1] if image[1].get("rgb") else shape


def _planes(
    path: Path,
    layer: LayerData,
    labels: NDArray[Any],
    picture: LayerData | None,
    saved: dict[str, LayerData],
) -> list[tuple[CocoImage, NDArray[Any]]]:
    lead = labels.shape[:-2]
    flat = labels.reshape(-1, *labels.shape[-2:])
    height, width = flat.shape[1:]
    axes = lead_axes(layer[1], len(lead))
    memory = layer_memory(layer[1]).get("images", [])
    if len(memory) == len(flat):
        first = _first_of(memory, len(lead))
        shared = _sizes(layer[1], axes, first, labels.ndim)
        return [
            (CocoImage(m["id"], _file_name(path, m), width, height, _others(m) | shared), plane)
            for m, plane in zip(memory, flat, strict=True)
        ]
    name = _image_file(path, layer, picture, saved)
    first = _first_plane(layer, picture, len(lead))
    shared = _sizes(layer[1], axes, first, labels.ndim)
    found = []
    for n, index in enumerate(np.ndindex(*lead)):
        place = [a + b for a, b in zip(first, index, strict=True)]
        extra = {"plane": place, "plane_axes": axes} if axes else {}
        found.append((CocoImage(n + 1, name, width, height, extra | shared), flat[n]))
    return found


def _sizes(meta: Mapping[str, Any], axes: str, first: list[int], ndim: int) -> dict[str, Any]:
    """What every record of a layer says about sizes and the place of the stack's first plane."""
    said: dict[str, Any] = {}
    if (spacing := layer_pixel_size(meta)) is not None:
        said["pixel_size_um"] = list(spacing)
    said |= steps_to_extra(layer_steps(meta, axes))
    if (placement := Placement.of_layer(meta, ndim)) is not None:
        said[PLACEMENT_KEY] = placement.moved([-n for n in first]).to_dict()
    return said


def _others(memory: dict[str, Any]) -> dict[str, Any]:
    """What a record said, without the place that the layer had when it was opened."""
    return {key: value for key, value in memory["extra"].items() if key != PLACEMENT_KEY}


def _first_of(memory: Sequence[dict[str, Any]], count: int) -> list[int]:
    """Where in its file's stack the first of a layer's planes lies."""
    place = memory[0]["extra"].get("plane", ())
    return [int(n) for n in place] if len(place) == count else [0] * count


def lead_axes(meta: Mapping[str, Any], count: int) -> str:
    """Letters of the axes in front of (Y, X): the layer's own when it calls them t and z.

    Else a single one is Z when its unit is a length, and T when it is not.
    """
    named = "".join(str(label).upper() for label in (meta.get("axis_labels") or ())[:count])
    if len(named) == count and set(named) <= set("TZ") and len(set(named)) == count:
        return named
    units = meta.get("units")
    if count == 1 and units is not None and len(units) == 3 and is_length(units[0]):
        return "Z"
    return {1: "T", 2: "TZ"}.get(count, "")


def _first_plane(layer: LayerData, picture: LayerData | None, count: int) -> list[int]:
    """Where in the picture's stack the labels start: labels of one slice are moved to it."""
    if picture is None or len(_shape(picture)) != count + 2:
        return [0] * count
    step = np.asarray(picture[1].get("scale", np.ones(count + 2)), float)[:count]
    zero = np.zeros(count + 2)
    here = np.asarray(layer[1].get("translate", zero), float)[:count]
    there = np.asarray(picture[1].get("translate", zero), float)[:count]
    last = np.array(_shape(picture)[:count]) - 1
    return [int(n) for n in np.clip(np.round((here - there) / step), 0, last)]


def _file_name(path: Path, memory: dict[str, Any]) -> str:
    """Where a record's image lies as seen from the new file."""
    image = Path(memory["path"])
    if not image.exists():
        return str(memory["file_name"])
    try:
        return Path(os.path.relpath(image, path.parent.absolute())).as_posix()
    except ValueError:  # another drive on Windows
        return image.as_posix()


def _image_file(
    path: Path, layer: LayerData, picture: LayerData | None, saved: dict[str, LayerData]
) -> str:
    """Name the labelled picture's file; save the picture beside the dataset if it has none."""
    origin = layer_memory(layer[1]).get("image_path")
    if origin is not None and Path(origin).is_file():
        return _file_name(path, {"path": origin, "file_name": origin})
    source = picture if picture is not None else layer
    title = str(layer_memory(layer[1]).get("image") or source[1].get("name") or "image")
    stem = re.sub(r"[^\w.()+-]+", "_", title).strip("_.") or "image"
    if picture is None:
        return f"{stem}.tif"
    name = f"{path.stem}_images/{stem}.tif"
    number = 2
    while saved.get(name, picture) is not picture:
        name, number = f"{path.stem}_images/{stem}_{number}.tif", number + 1
    if name in saved:
        return name
    saved[name] = picture
    with atomic_write(path.parent / name) as temporary:
        tifffile.imwrite(
            temporary,
            np.asarray(_pixels(picture)),
            photometric="rgb" if picture[1].get("rgb") else "minisblack",
            compression="zlib",
        )
    return name


def _free_id(dataset: CocoDataset) -> int:
    return max([0, *(i for i in dataset.instances if isinstance(i, int))]) + 1
