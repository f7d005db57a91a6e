"""Matches between two label images, as a public notebook for the competition metric finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.evaluation.matching import Pairs, pairs_of_overlaps
from napari_sartorius.evaluation.painting import summed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks

    Ints = NDArray[np.int64]
    Labels = NDArray[np.integer[Any]]


def pairs_of_label_images(
    truth: CropMasks, predicted: CropMasks, iou: float
) -> tuple[Pairs, int, int]:
    """Paint both sides, later masks over earlier ones, and compare what is left of them.

    Parameters
    ----------
    truth, predicted : CropMasks
        Masks on images of one size.
    iou : float
        0 to 1; pairs need an IoU above it.

    Returns
    -------
    pairs : Pairs
        With numbers of visible objects.
    truth, predicted : int
        How many objects are visible.
    """
    return _pairs(_painted(truth), _painted(predicted), _numbers, iou)


def published_pairs(truth: CropMasks, predicted: CropMasks, iou: float) -> tuple[Pairs, int, int]:
    """Do the same with the published histogram, one bin per label that is visible.

    Bins are equally wide from the lowest to the highest label. Where a label in between is not
    visible there are fewer bins than labels, and neighbours share one. Parameters and results are
    those of `pairs_of_label_images`.
    """
    return _pairs(_painted(truth), _painted(predicted), _bins, iou)


def _painted(masks: CropMasks) -> Labels:
    backwards = masks[np.arange(len(masks))[::-1]]
    return backwards.to_labels(np.arange(len(masks), 0, -1))


def _numbers(pixels: Ints) -> Ints:
    """Number the labels that have pixels from 1 in their order, whatever is background."""
    visible = pixels > 0
    visible[0] = True
    numbers: Ints = np.cumsum(visible) - 1
    return numbers


def _bins(pixels: Ints) -> Ints:
    """Put labels into as many equally wide bins as there are labels that have pixels."""
    visible = np.flatnonzero(pixels)
    edges = np.linspace(int(visible[0]), int(visible[-1]), len(visible) + 1)
    bins: Ints = np.searchsorted(edges, np.arange(len(pixels)), side="right") - 1
    return bins.clip(0, len(visible) - 1)


def _pairs(
    true_labels: Labels, labels: Labels, group: Callable[[Ints], Ints], iou: float
) -> tuple[Pairs, int, int]:
    """Compare two label images whose labels, by their pixels, are put into numbered groups.

    Group 0 is background.
    """
    rows, true_areas = _groups(true_labels, group)
    cols, areas = _groups(labels, group)
    # Neighbours are mostly equal, so all but counting pixels is done once per run of them.
    flat_true, flat = true_labels.reshape(-1), labels.reshape(-1)
    new = np.ones(flat.size, np.bool_)
    new[1:] = (flat_true[1:] != flat_true[:-1]) | (flat[1:] != flat[:-1])
    start = np.flatnonzero(new)
    row, col = rows[flat_true[start]], cols[flat[start]]
    length = np.diff(start, append=flat.size)
    some = (row > 0) & (col > 0)
    pair, shared = summed(row[some] * len(areas) + col[some], length[some])
    row, col = np.divmod(pair, len(areas))
    pairs = pairs_of_overlaps(row - 1, col - 1, shared, true_areas[1:], areas[1:], iou)
    return pairs, len(true_areas) - 1, len(areas) - 1


def _groups(labels: Labels, group: Callable[[Ints], Ints]) -> tuple[Ints, Ints]:
    """Return the group of each label and the pixels of each group."""
    pixels = np.bincount(labels.reshape(-1))
    groups = group(pixels)
    return groups, np.bincount(groups, pixels).astype(np.int64)
