"""Turn napari label layers back into a dataset: what File > Save does before a file is written."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import atomic_write
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
from napari_sartorius.io.labels_tiff import smallest_unsigned
from napari_sartorius.io.layers_from_dataset import METADATA_KEY, LayerData
from napari_sartorius.io.pixel_size import unit_in_micrometres

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# Measured from the pixels, so they would be wrong after the first stroke of the brush.
_MEASURED = re.compile(
    r"area|centroid_[yx]|bbox_[xy][01]|(major|minor)_axis|solidity|axis-\d+|index|image"
)


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
    images = [layer for layer in layers if layer[2] == "image"]
    labelled = [layer for layer in layers if layer[2] == "labels"]
    if not labelled:
        raise UserError(f"{path} needs at least one labels layer: select one and save again.")
    names = _category_names(labelled)
    dataset = CocoDataset([], _categories(labelled, names), {}, _info(labelled), path.parent)
    for number, layer in enumerate(labelled):
        labels = layer_labels(layer[0], layer[1])
        picture = _picture_of(layer, labels, images, number)
        for record, plane in _planes(path, layer, labels, picture):
            unique = record.id not in dataset.instances
            image_id: ImageId = record.id if unique else _free_id(dataset)
            dataset.images.append(
                CocoImage(image_id, record.file_name, record.width, record.height, record.extra)
            )
            dataset.instances[image_id] = plane_instances(plane, layer[1], names)
    return dataset


def layer_labels(data: Any, meta: Mapping[str, Any]) -> NDArray[Any]:
    """Return a labels layer's pixels (..., Y, X) at full resolution, smallest unsigned type."""
    if isinstance(data, list | tuple):  # multiscale
        data = data[0]
    return smallest_unsigned(np.asarray(data), str(meta.get("name", "labels layer")))


def plane_instances(
    plane: NDArray[Any], meta: Mapping[str, Any], names: Sequence[str]
) -> Instances:
    """Objects of one plane (Y, X) of a labels layer, with what its features say about them.

    Parameters
    ----------
    plane
        Label image.
    meta
        The layer's keyword arguments; ``features`` may be a data frame or a mapping. Its rows
        belong to the labels in column ``index``, else to labels by row number, as napari has it.
    names
        Categories by index.
    """
    masks, ids = CropMasks.from_labels(plane)
    features = _features(meta)
    rows = {int(label): row for row, label in enumerate(_index(features))}
    row = np.array([rows.get(int(label), -1) for label in ids], np.int64)
    known = row >= 0
    instances = Instances.from_masks(
        masks, _scores(features, row, known), _category_numbers(features, row, known, names)
    )
    # Ids of new cells are missing; all are numbered anew then.
    for name, column in features.items():
        if name in ("score", "category") or _MEASURED.fullmatch(name.removesuffix("_um2")):
            continue
        if name.endswith("_um") or not known.all() or column.dtype.kind not in "biufUO":
            continue
        values = column[row]
        instances.columns[name] = values.astype(str) if values.dtype.kind == "O" else values
    return instances


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


def layer_category_names(meta: Mapping[str, Any]) -> list[str]:
    """Names of the categories of one labels layer: its own table first, then its features'."""
    return _category_names([(None, dict(meta), "labels")])


def _features(meta: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    features = meta.get("features")
    if features is None:
        return {}
    return {str(name): np.asarray(features[name]) for name in features}


def _index(features: dict[str, NDArray[Any]]) -> NDArray[Any]:
    if not features:
        return np.zeros(0, np.int64)
    return features.get("index", np.arange(len(next(iter(features.values())))))


def _memory(layer: LayerData) -> dict[str, Any]:
    memory = (layer[1].get("metadata") or {}).get(METADATA_KEY)
    return memory if isinstance(memory, dict) else {}


def _category_names(layers: Sequence[LayerData]) -> list[str]:
    names: dict[str, None] = {}
    for layer in layers:
        names |= dict.fromkeys(str(c["name"]) for c in _memory(layer).get("categories", ()))
        column = _features(layer[1]).get("category", np.zeros(0))
        names |= dict.fromkeys(str(value) for value in column if not _is_missing(value))
    return list(names) or ["cell"]


def _categories(layers: Sequence[LayerData], names: list[str]) -> list[Category]:
    known = {str(c["name"]): c for layer in layers for c in _memory(layer).get("categories", ())}
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
        memory = _memory(layer)
        info |= memory.get("info", {})
        info |= {k: memory[k] for k in ("model", "config", "device") if k in memory}
    info.pop("image_root", None)  # file names are made relative to the new file
    return info


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or str(value) == "<NA>"


def _scores(
    features: dict[str, NDArray[Any]], row: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    scores = np.ones(len(row), np.float32)
    if "score" in features:
        column = [1.0 if _is_missing(v) else float(v) for v in features["score"].tolist()]
        scores[known] = np.asarray(column, np.float32)[row[known]]
    return scores


def _category_numbers(
    features: dict[str, NDArray[Any]],
    row: NDArray[np.int64],
    known: NDArray[np.bool_],
    names: Sequence[str],
) -> NDArray[np.int64]:
    if "category" not in features or not len(features["category"]):
        return np.zeros(len(row), np.int64)
    number = {name: n for n, name in enumerate(names)}
    column = [None if _is_missing(v) else number.get(str(v)) for v in features["category"].tolist()]
    counts = Counter(n for n in column if n is not None)
    usual = counts.most_common(1)[0][0] if counts else 0
    table = np.array([usual if n is None else n for n in column], np.int64)
    return np.where(known, table[row], usual)


def _picture_of(
    layer: LayerData, labels: NDArray[Any], images: Sequence[LayerData], number: int
) -> LayerData | None:
    """The image layer that was labelled: the one named in the labels' metadata, else by shape."""
    fitting = []
    for image in images:
        data = image[0][0] if isinstance(image[0], list | tuple) else image[0]
        shape = tuple(data.shape[:-1] if image[1].get("rgb") else data.shape)
        if shape == labels.shape:
            fitting.append(image)
    named = [i for i in fitting if i[1].get("name") == _memory(layer).get("image", object())]
    if named or len(fitting) == 1:
        return (named or fitting)[0]
    return fitting[number] if number < len(fitting) else None


def _planes(
    path: Path, layer: LayerData, labels: NDArray[Any], picture: LayerData | None
) -> list[tuple[CocoImage, NDArray[Any]]]:
    lead = labels.shape[:-2]
    flat = labels.reshape(-1, *labels.shape[-2:])
    height, width = flat.shape[1:]
    shared: dict[str, Any] = {}
    if (spacing := layer_pixel_size(layer[1])) is not None:
        shared["pixel_size_um"] = list(spacing)
    memory = _memory(layer).get("images", [])
    if len(memory) == len(flat):
        return [
            (CocoImage(m["id"], _file_name(path, m), width, height, m["extra"] | shared), plane)
            for m, plane in zip(memory, flat, strict=True)
        ]
    name = _image_file(path, layer, picture)
    axes = "TZ"[-len(lead) :] if 0 < len(lead) < 3 else ""
    found = []
    for n, index in enumerate(np.ndindex(*lead)):
        extra = {"plane": list(index), "plane_axes": axes} if axes else {}
        found.append((CocoImage(n + 1, name, width, height, extra | shared), flat[n]))
    return found


def _file_name(path: Path, memory: dict[str, Any]) -> str:
    """Where a record's image lies as seen from the new file."""
    image = Path(memory["path"])
    if not image.exists():
        return str(memory["file_name"])
    try:
        return Path(os.path.relpath(image, path.parent.absolute())).as_posix()
    except ValueError:  # another drive on Windows
        return image.as_posix()


def _image_file(path: Path, layer: LayerData, picture: LayerData | None) -> str:
    """Name the labelled picture's file; save the picture beside the dataset if it has none."""
    origin = _memory(layer).get("image_path")
    if origin is not None and Path(origin).is_file():
        return _file_name(path, {"path": origin, "file_name": origin})
    source = picture if picture is not None else layer
    title = str(_memory(layer).get("image") or source[1].get("name") or "image")
    stem = re.sub(r"[^\w.()+-]+", "_", title).strip("_.") or "image"
    if picture is None:
        return f"{stem}.tif"
    name = f"{path.stem}_images/{stem}.tif"
    data = picture[0][0] if isinstance(picture[0], list | tuple) else picture[0]
    with atomic_write(path.parent / name) as temporary:
        tifffile.imwrite(
            temporary,
            np.asarray(data),
            photometric="rgb" if picture[1].get("rgb") else "minisblack",
            compression="zlib",
        )
    return name


def _free_id(dataset: CocoDataset) -> int:
    return max([0, *(i for i in dataset.instances if isinstance(i, int))]) + 1
