"""Parting an object that is several cells: along a drawn line, or at its waists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sartorius.core.edits.objects import mask_of
from napari_sartorius.core.edits.patch import Patch
from napari_sartorius.postprocess.edits.drawing import stroke_pixels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sartorius.core.edits.boxes import BoxIndex

_SMALLEST_PIECE = 3  # pixels; what a line cuts off by accident goes to its neighbour
_SEED_DISTANCES = (0.75, 0.5, 0.35)  # of the largest inscribed radius, tried in this order
_NEAREST_SEEDS = 3


@dataclass(frozen=True)
class Split:
    """What parting objects changes.

    Parameters
    ----------
    patch : Patch
        The largest piece of each object keeps its label; the patch holds the others.
    pieces : dict of int to list of int
        New labels by the label of the object that they were part of.
    """

    patch: Patch
    pieces: dict[int, list[int]]


def split_by_line(
    plane: NDArray[Any],
    boxes: BoxIndex,
    points: NDArray[Any],
    next_label: int,
    labels: Iterable[int] | None = None,
) -> Split:
    """Part the objects that a drawn line goes through from side to side.

    The pixels under the line go to the nearest piece, so nothing is lost.

    Parameters
    ----------
    plane : (H, W) int
        The label image.
    boxes : BoxIndex
        The boxes of that plane.
    points : (N, 2) float
        (y, x) along the line, pixel i having its centre at i.
    next_label : int
        The first free label; further pieces get the following ones.
    labels : iterable of int, optional
        The objects that may be parted; by default all.
    """
    y, x = stroke_pixels(points, (plane.shape[0], plane.shape[1]))
    under = plane[y, x]
    allowed = None if labels is None else set(labels)
    cut = {}
    for label in np.unique(under[under != 0]).tolist():
        if (allowed is not None and label not in allowed) or label not in boxes:
            continue
        mask, corner = mask_of(plane, boxes, label)
        on_line = np.zeros_like(mask)
        own = under == label
        on_line[y[own] - corner[0], x[own] - corner[1]] = True
        cut[label] = (_cut(mask, on_line), corner)
    return _number(cut, next_label)


def split_by_seeds(
    plane: NDArray[Any], boxes: BoxIndex, labels: Iterable[int], next_label: int
) -> Split:
    """Part objects at their waists: a watershed from the points farthest from their outline.

    Objects without a waist stay as they are. See `split_by_line` for the parameters.
    """
    cut = {}
    for label in labels:
        if label in boxes:
            mask, corner = mask_of(plane, boxes, label)
            cut[label] = (_watershed(mask), corner)
    return _number(cut, next_label)


def _number(cut: dict[int, tuple[NDArray[np.int32], tuple[int, int]]], next_label: int) -> Split:
    """Give all pieces but the largest of each object labels of their own."""
    patches: list[Patch] = []
    pieces: dict[int, list[int]] = {}
    for label, (parts, corner) in cut.items():
        sizes = np.bincount(parts.reshape(-1))
        sizes[0] = 0
        order = [p for p in np.argsort(-sizes, kind="stable").tolist() if sizes[p]]
        if len(order) < 2:
            continue
        new = np.zeros(len(sizes), np.int64)
        for part in order[1:]:
            new[part] = next_label
            pieces.setdefault(label, []).append(next_label)
            next_label += 1
        labels = new[parts]
        patches.append(Patch.where(labels > 0, corner, labels))
    return Split(Patch.join(patches), pieces)


def _cut(mask: NDArray[np.bool_], on_line: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the pieces of `mask` that a line leaves; parts that it does not divide stay one.

    Returns all pixels of the mask with the number of their piece, 1 for what stays together.
    """
    whole, parts_before = ndimage.label(mask)
    rest, _ = ndimage.label(mask & ~on_line)
    sizes = np.bincount(rest.reshape(-1))
    sizes[0] = 0
    pieces: NDArray[np.int32] = np.zeros(mask.shape, np.int32)
    count = 1
    for part in range(1, parts_before + 1):
        inside = whole == part
        found = [p for p in np.unique(rest[inside]).tolist() if sizes[p] >= _SMALLEST_PIECE]
        if len(found) < 2:
            pieces[inside] = 1
            continue
        found.sort(key=lambda p: -sizes[p])
        seeds = np.zeros_like(whole)
        for number, piece in enumerate(found):
            # the largest stays with the parts that the line does not touch
            seeds[rest == piece] = 1 if number == 0 else count + number
        count += len(found) - 1
        nearest = ndimage.distance_transform_edt(
            seeds == 0, return_distances=False, return_indices=True
        )
        pieces[inside] = seeds[tuple(nearest)][inside]
    return pieces


def _watershed(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    from skimage import feature, segmentation

    # scikit-image has no types for these
    peak_local_max: Any = feature.peak_local_max
    watershed: Any = segmentation.watershed
    padded = np.pad(mask, 1)  # the border of the image is an outline, too
    distance = ndimage.distance_transform_edt(padded)
    smoothed = ndimage.gaussian_filter(distance, 1.0)
    radius = float(distance.max())
    for share in _SEED_DISTANCES:
        seeds = peak_local_max(
            smoothed,
            min_distance=max(round(share * radius), _NEAREST_SEEDS),
            threshold_abs=0.3 * radius,
            labels=padded.astype(np.int32),
            exclude_border=False,
        )
        if len(seeds) > 1:
            break
    markers = np.zeros(padded.shape, np.int32)
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    parts: NDArray[np.int32] = watershed(-smoothed, markers, mask=padded)[1:-1, 1:-1]
    # a part of the object that is not connected to any seed stays with the first piece
    parts[mask & (parts == 0)] = 1
    return parts
