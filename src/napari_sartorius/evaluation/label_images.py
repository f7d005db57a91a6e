"""Matches between two label images, as a public notebook for the competition metric finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.evaluation.matching import Pairs, pairs_of_overlaps
from napari_sartorius.evaluation.painting import summed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks

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
    return _pairs(_numbered(_painted(truth)), _numbered(_painted(predicted)), iou)


def published_pairs(truth: CropMasks, predicted: CropMasks, iou: float) -> tuple[Pairs, int, int]:
    """Do the same with the published histogram, one bin per label that is visible.

    Bins are equally wide from the lowest to the highest label. Where a label in between is not
    visible there are fewer bins than labels, and neighbours share one. Parameters and results are
    those of `pairs_of_label_images`.
    """
    return _pairs(_binned(_painted(truth)), _binned(_painted(predicted)), iou)


def _painted(masks: CropMasks) -> Labels:
    backwards = masks[np.arange(len(masks))[::-1]]
    return backwards.to_labels(np.arange(len(masks), 0, -1))


def _numbered(labels: Labels) -> tuple[Labels, int]:
    """Number the visible labels from 1 in their order; return how many there are with 0."""
    visible = np.bincount(labels.reshape(-1)) > 0
    visible[0] = True
    number = np.cumsum(visible) - 1
    return number[labels], int(visible.sum())


def _binned(labels: Labels) -> tuple[Labels, int]:
    """Put labels into as many equally wide bins as there are different ones."""
    visible = np.flatnonzero(np.bincount(labels.reshape(-1)))
    low, high, count = int(visible[0]), int(visible[-1]), len(visible)
    edges = np.linspace(low, high, count + 1)
    bins = np.searchsorted(edges, np.arange(high + 1), side="right") - 1
    return bins.clip(0, count - 1)[labels], count


def _pairs(
    truth: tuple[Labels, int], predicted: tuple[Labels, int], iou: float
) -> tuple[Pairs, int, int]:
    """Compare two label images with so many values each; the lowest value is background."""
    (true_labels, rows), (labels, cols) = truth, predicted
    key = true_labels.reshape(-1).astype(np.int64) * cols + labels.reshape(-1)
    # Neighbours are mostly equal, so there is less to sort than pixels.
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    pair, shared = summed(key[starts], np.diff(starts, append=len(key)))
    row, col = np.divmod(pair, cols)
    objects = (row > 0) & (col > 0)
    areas = (np.bincount(x.reshape(-1), minlength=n) for x, n in (truth, predicted))
    true_areas, predicted_areas = (area[1:] for area in areas)
    pairs = pairs_of_overlaps(
        row[objects] - 1, col[objects] - 1, shared[objects], true_areas, predicted_areas, iou
    )
    return pairs, rows - 1, cols - 1
