"""Between a project's image and what napari shows: one image layer, one labels layer, one table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.regions import region_table
from napari_sartorius.io.coco_dataset import CocoDataset
from napari_sartorius.io.layer_table import NO_CELL_KEY
from napari_sartorius.io.layers_from_dataset import LayerData, dataset_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.io.project.edit import Row
    from napari_sartorius.io.project.project import Project

# Columns that are not kept: measured from the pixels, or said by the label image.
_NOT_KEPT = re.compile(
    r"(area|centroid_[yx]|bbox_[xy][01]|major_axis|minor_axis|solidity)(_um2?)?|axis-\d+|index|image"
)
_FIRST: dict[str, Any] = {"category": None, "score": 1.0, "source": "drawn", "reviewed": False}


def file_layers(project: Project, file_name: str) -> list[LayerData]:
    """Layers that show an image file of a project and its objects.

    Returns
    -------
    list of (data, keyword arguments, layer type)
        The image, when its file is there, then the labels: (..., Y, X) with a row of ``features``
        for each object. The labels are a copy; edits go back through `Project.record`.

    Raises
    ------
    UserError
        When the image cannot be read or has another size than its record says.
    """
    records = project.planes_of(file_name)
    empty = {record.id: Instances.empty(record.size) for record in records}
    shown = CocoDataset(list(records), list(project.categories), dict(empty), {}, project.folder)
    layers = dataset_layers(shown, records[0].stem)
    data, keywords, kind = layers[-1]
    labels, features = file_labels(project, file_name)
    keywords["name"] = f"{records[0].stem} cells"
    keywords["features"] = features
    keywords["metadata"] = {
        **keywords.get("metadata", {}),
        NO_CELL_KEY: no_cells(project, file_name),
    }
    return [*layers[:-1], (labels.reshape(data.shape), keywords, kind)]


def no_cells(project: Project, file_name: str) -> list[list[int]]:
    """Places of an image file without a cell, as a layer's metadata has them."""
    records = project.planes_of(file_name)
    return [
        [*record.extra.get("plane", ()), *place]
        for record in records
        for place in project.no_cells(record)
    ]


def file_labels(project: Project, file_name: str) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Label image (planes, Y, X) and table of features of an image file of a project.

    Objects of a single plane are measured; in a stack, where one object may be in several planes,
    only their areas are.
    """
    planes = [project.plane(record.id) for record in project.planes_of(file_name)]
    labels = np.stack([plane.values for plane in planes])
    rows: dict[int, Row] = {}
    for plane in planes:
        rows |= {label: plane.rows.get(label, {}) for label in np.unique(plane.values).tolist()}
    rows.pop(0, None)
    features = features_of(rows, labels)
    if len(labels) == 1 and rows:
        features |= region_table(CropMasks.from_labels(labels[0])[0])
    return labels, features


def features_of(rows: Mapping[int, Row], labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Columns of a features table, ``index`` first, with the area of each object.

    Parameters
    ----------
    rows
        By label value.
    labels
        (..., Y, X) label image.
    """
    index = np.array(sorted(rows), np.int64)
    areas = np.bincount(labels.ravel(), minlength=1 + int(index.max(initial=0)))
    keys = list(dict.fromkeys([*_FIRST, *(key for row in rows.values() for key in row)]))
    table: dict[str, NDArray[Any]] = {"index": index}
    for key in keys:
        values = [rows[label].get(key, _FIRST.get(key)) for label in index.tolist()]
        table[key] = _column(values, _FIRST.get(key))
    table["area"] = areas[index] if len(index) else np.zeros(0, np.int64)
    return table


def rows_of(features: Mapping[str, Sequence[Any]]) -> dict[int, Row]:
    """Rows by label value of a features table with the column ``index``; measurements are left out.

    Parameters
    ----------
    features
        A data frame or a mapping of equally long columns.
    """
    if "index" not in features:
        return {}
    columns = {
        str(name): np.asarray(features[name]).tolist()
        for name in features
        if not _NOT_KEPT.fullmatch(str(name))
    }
    index = np.asarray(features["index"]).astype(np.int64).tolist()
    return {
        label: {name: _plain(column[i]) for name, column in columns.items()}
        for i, label in enumerate(index)
    }


def _column(values: list[Any], usual: Any) -> NDArray[Any]:
    """As numbers or truth values where all are; missing numbers are NaN.

    Where no value is known the column is of the type of the usual one: the first cell that is drawn
    in an empty image has no score, but the column is to hold scores.
    """
    known = [value for value in values if value is not None]
    if not known and usual is not None:
        known = [usual]
    if known and all(isinstance(value, bool) for value in known):
        return np.array([bool(value) for value in values], np.bool_)
    if known and all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
        return np.array([np.nan if value is None else value for value in values])
    return np.array(["" if value is None else str(value) for value in values], object)


def _plain(value: Any) -> Any:
    """A value as JSON has it: nothing is None, not NaN and not an empty text."""
    if value is None or value == "" or value != value:
        return None
    return value
