"""Turns segmentation results into one napari label layer that lies exactly on its image.

Split in two so that the window stays smooth: `compose` does the work on pixels and may run in any
thread; `to_layer` only wraps what it made and must run in the main thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.io.label_room import dtype_with_room
from napari_sartorius.ui.label_colours import first_colormap
from napari_sartorius.ui.late_overlays import make_overlays_late

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Image, Labels

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.ui.image_source import PlaneChoice

METADATA_KEY = "sartorius"
"""Key in ``layer.metadata`` under which provenance is kept."""

OPACITY = 0.6
"""Of filled labels, so that the cell remains visible below them."""

_COPIED = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


@dataclass(frozen=True)
class ComposedLabels:
    """A label image with its table, ready to become a layer.

    Parameters
    ----------
    labels : (..., Y, X) unsigned int
        Label values are unique over all slices; 0 is background.
    features : dict of str to (N,) array
        Columns; the first, ``index``, holds the label value of each row.
    metadata : dict
        Provenance as plain JSON-like values.
    """

    labels: NDArray[Any]
    features: dict[str, NDArray[Any]]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of objects."""
        return len(self.features["index"])


def compose(
    instances: Sequence[Instances],
    choice: PlaneChoice,
    leading: tuple[int, ...],
    category_names: Sequence[str],
    pixel_size_um: float | None,
    metadata: Mapping[str, Any],
) -> ComposedLabels:
    """Paint the instances of each plane into one label image and join their tables.

    Parameters
    ----------
    instances : sequence of Instances
        One per plane of `choice`, in the same order.
    choice : PlaneChoice
        Which planes they are.
    leading : tuple of int
        Sizes of the image layer's axes in front of (Y, X).
    category_names : sequence of str
        Name per 0-based category.
    pixel_size_um : float or None
        Adds columns in micrometres when known.
    metadata : mapping
        Provenance to keep with the layer.
    """
    total = sum(len(one) for one in instances)
    height, width = instances[0].image_size
    grid = leading if choice.whole else (1,) * len(leading)
    labels = np.zeros((*grid, height, width), dtype=dtype_with_room(total))
    tables = []
    offset = 0
    for one, index in zip(instances, choice.indices, strict=True):
        plane = one.masks.to_labels()
        where = index if choice.whole else (0,) * len(leading)
        np.add(plane, offset, out=labels[where], where=plane > 0, casting="unsafe")
        table = one.table(pixel_size_um=pixel_size_um, category_names=list(category_names))
        table = {"index": table.pop("index").astype(np.int64) + offset, **table}
        for axis, position in enumerate(index):
            table[f"axis-{axis}"] = np.full(len(one), position, dtype=np.int64)
        tables.append(table)
        offset += len(one)
    # A blank plane has no rows, and none of the columns that only a network adds.
    tables = [table for table in tables if len(table["index"])] or tables[:1]
    features = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
    return ComposedLabels(labels, features, dict(metadata))


def transform_of(image: Image, choice: PlaneChoice) -> dict[str, Any]:
    """Return the layer arguments that put labels exactly where the chosen planes are.

    A single slice of a stack keeps all axes and is moved to its place along them, so that it
    shows at that slice only.
    """
    from napari.utils.transforms import Affine

    arguments = {name: getattr(image, name) for name in _COPIED if hasattr(image, name)}
    if not choice.whole:
        index = np.zeros(image.ndim)
        index[: len(choice.indices[0])] = choice.indices[0]
        linear = Affine(
            scale=image.scale, rotate=image.rotate, shear=image.shear, ndim=image.ndim
        ).linear_matrix
        arguments["translate"] = np.asarray(image.translate) + linear @ index
    return arguments


def arguments_of(composed: ComposedLabels, image: Image, choice: PlaneChoice) -> dict[str, Any]:
    """Return what a layer of the composed result has beside its pixels and colours, by name."""
    import pandas as pd

    return {
        "name": f"{image.name} cells",
        "features": pd.DataFrame(composed.features),
        "metadata": {METADATA_KEY: composed.metadata},
        **transform_of(image, choice),
    }


def to_layer(composed: ComposedLabels, image: Image, choice: PlaneChoice) -> Labels:
    """Return a `Labels` layer (not yet in the viewer) for the composed result."""
    return result_layer(
        composed.labels, composed.features["index"], **arguments_of(composed, image, choice)
    )


def result_layer(labels: NDArray[Any], index: NDArray[np.int64], **arguments: Any) -> Labels:
    """Return a `Labels` layer (not yet in the viewer) that looks as results do.

    It has the colours of a result from the start: changed after it was added, they would make
    napari slice, upload and draw the whole layer a second time.
    """
    from napari.layers import Labels

    layer = Labels(
        labels, opacity=OPACITY, colormap=first_colormap(labels.dtype, index), **arguments
    )
    return make_overlays_late(layer)
