"""Which predicted mask is which true one: the pairs that every score is counted from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.masks import CropMasks


class Pairs(NamedTuple):
    """Pairs of a true and a predicted mask: indices (P,) int64 and their IoU (P,) float64."""

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    iou: NDArray[np.float64]


def pairs_above(truth: CropMasks, predicted: CropMasks, iou: float) -> Pairs:
    """Return all pairs whose intersection over union exceeds `iou` (0 to 1)."""
    return pairs_of_overlaps(*truth.overlaps(predicted), truth.area(), predicted.area(), iou)


def pairs_of_overlaps(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    shared: NDArray[np.int64],
    true_areas: NDArray[np.int64],
    areas: NDArray[np.int64],
    iou: float,
) -> Pairs:
    """Return those of the pairs (P,) with so many pixels in common whose IoU exceeds `iou`."""
    # Ratios of whole numbers below 2**53, rounded once: equal to a threshold if they should be.
    ratio = shared / (true_areas[rows] + areas[cols] - shared)
    above = ratio > iou
    return Pairs(rows[above], cols[above], ratio[above])


def one_to_one(pairs: Pairs) -> Pairs:
    """Choose pairs so that no mask occurs twice, the best overlaps first.

    Because the best come first, the choice made for a low threshold also holds, cut off, for
    every higher one.
    """
    order = np.argsort(-pairs.iou, kind="stable")
    taken_truth: set[int] = set()
    taken_predicted: set[int] = set()
    chosen = []
    for place, i, j in zip(
        order.tolist(),
        pairs.truth[order].tolist(),
        pairs.predicted[order].tolist(),
        strict=True,
    ):
        if i not in taken_truth and j not in taken_predicted:
            taken_truth.add(i)
            taken_predicted.add(j)
            chosen.append(place)
    index = np.array(chosen, np.int64)
    return Pairs(pairs.truth[index], pairs.predicted[index], pairs.iou[index])
