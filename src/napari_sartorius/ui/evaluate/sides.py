"""The two sides of a comparison: which slices of which layers, and why some cannot be compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.ui.correct.outline_layer import is_overlay
from napari_sartorius.ui.correct.shown_place import shown_plane

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer


Plane = tuple[int, ...]
"""Position along a layer's axes in front of (Y, X)."""

LARGEST_PICTURE = 1 << 30
"""Bytes of the picture of errors, up to which all slices of a stack are compared together."""


@dataclass(frozen=True, eq=False)
class Objects:
    """One side in one slice: N masks and by which number each object is known, (N,) int64."""

    masks: CropMasks
    ids: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerSide:
    """The objects of a labels layer, read when they are asked for.

    Parameters
    ----------
    name : str
        Of the layer.
    data : array-like
        Labels (..., Y, X); may be read from a file piece by piece.
    table : dict of str to (N,) array
        The columns ``index`` and ``score`` of its features; empty without scores.
    """

    name: str
    data: Any
    table: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, layer: Labels) -> LayerSide:
        """Return the side that a layer is now."""
        features = layer.features
        wanted = ("index", "score")
        known = all(name in features for name in wanted)
        table = {n: features[n].to_numpy(dtype=float) for n in wanted} if known else {}
        return cls(layer.name, layer.data, table)

    def objects(self, plane: Plane) -> Objects:
        """Return the objects of one slice."""
        return Objects(*CropMasks.from_labels(np.asarray(self.data[plane])))

    def scores(self, ids: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return the score of each object, 1 where the table has none; None without a table."""
        if not self.table:
            return None
        index, scores = self.table["index"], self.table["score"]
        order = np.argsort(index, kind="stable")
        place = np.clip(np.searchsorted(index[order], ids), 0, max(len(index) - 1, 0))
        found = np.ones(len(ids), np.float32)
        if len(index):
            row = order[place]
            known = (index[row] == ids) & np.isfinite(scores[row])
            found[known] = scores[row][known]
        return found


@dataclass(frozen=True, eq=False)
class FileSide:
    """The objects of one image of a file."""

    name: str
    instances: Instances

    def objects(self, plane: Plane) -> Objects:
        """Return the objects; an image of a file is one slice.

        Crowd regions are left out: they are no single objects.
        """
        instances = self.instances
        if "iscrowd" in instances.columns:
            instances = instances[instances.columns["iscrowd"] == 0]
        known = instances.columns.get("annotation_id")
        count = len(instances)
        numbered = known is not None and known.dtype.kind in "iu"
        ids = known.astype(np.int64) if known is not None and numbered else np.arange(1, count + 1)
        return Objects(instances.masks, ids)


def is_comparable(layer: Layer) -> bool:
    """Whether a layer belongs into the menus of the tab."""
    from napari.layers import Labels

    return isinstance(layer, Labels) and not is_overlay(layer)


def is_stack(layer: Labels | None) -> bool:
    """Whether a layer has more than one slice."""
    return layer is not None and not layer.multiscale and math.prod(layer.data.shape[:-2]) > 1


def planes_of_one(viewer: ViewerModel, layer: Labels) -> list[tuple[Plane, Plane]]:
    """Return the slice of a layer that is shown, to be compared with an image of a file.

    Raises
    ------
    UserError
        If that is no slice, or the layer cannot be compared.
    """
    return [(_shown(viewer, layer), ())]


def planes_of_both(
    viewer: ViewerModel, found: Labels, truth: Labels, every: bool
) -> list[tuple[Plane, Plane]]:
    """Return which slices of two layers are compared with each other.

    Parameters
    ----------
    viewer : ViewerModel
        Says which slice is shown.
    found, truth : Labels
        The layers.
    every : bool
        All slices rather than the one that is shown.

    Raises
    ------
    UserError
        If they cannot be compared: one sentence saying why.
    """
    if found is truth:
        raise UserError(
            f"Found and Truth are the same layer, {found.name}: choose the layer with the true "
            "cells under Truth, or a file."
        )
    _refuse_unusual(found)
    _refuse_unusual(truth)
    sizes = [tuple(layer.data.shape[-2:]) for layer in (found, truth)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"{found.name} is {sizes[0][0]} x {sizes[0][1]} pixels and {truth.name} "
            f"{sizes[1][0]} x {sizes[1][1]}: choose two layers of the same image."
        )
    if not every:
        planes = [(_shown(viewer, found), _shown(viewer, truth))]
    elif found.data.shape != truth.data.shape:
        raise UserError(
            f"{found.name} and {truth.name} have different numbers of slices, "
            f"{found.data.shape[:-2]} and {truth.data.shape[:-2]}: compare the shown slice only."
        )
    else:
        if 2 * math.prod(found.data.shape) > LARGEST_PICTURE:
            raise UserError(
                f"{found.name} is too large to compare all slices together: compare the shown "
                "slice, one after the other."
            )
        planes = [(place, place) for place in np.ndindex(*found.data.shape[:-2])]
    _refuse_apart(found, truth, planes[0])
    return planes


def _refuse_unusual(layer: Labels) -> None:
    if layer.multiscale:
        raise UserError(f"{layer.name} has several resolutions: compare a copy of the finest one.")
    if layer.ndim < 2:
        raise UserError(f"{layer.name} has fewer than two axes: expected labels of (..., Y, X).")


def _shown(viewer: ViewerModel, layer: Labels) -> Plane:
    _refuse_unusual(layer)
    plane = shown_plane(viewer, layer)
    if plane is None:
        raise UserError(
            f"{layer.name} has no slice here: show the image in 2D, at a slice with labels."
        )
    return plane


def _refuse_apart(found: Labels, truth: Labels, planes: tuple[Plane, Plane]) -> None:
    """Raise when two layers of one scale lie at different places; pixels could not be compared."""
    scales = [np.asarray(layer.scale[-2:]) for layer in (found, truth)]
    if not np.allclose(*scales):
        return  # one of them was never told its pixel size
    corners = [
        np.asarray(layer.data_to_world((*plane, 0, 0)))[-2:]
        for layer, plane in zip((found, truth), planes, strict=True)
    ]
    if np.abs((corners[0] - corners[1]) / scales[0]).max() > 0.5:
        raise UserError(
            f"{found.name} and {truth.name} do not lie on each other: compare layers of the same "
            "part of the image."
        )
