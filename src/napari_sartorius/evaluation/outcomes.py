"""What became of every single object: found, missed, too many, two in one, one in pieces.

Scores say how good a segmentation is; the tables here say which objects cost it what. With "covers"
meaning "holds more than half of the pixels of", each object has exactly one outcome, the first of
these that applies:

=========  =======================================  =============================================
outcome    a true object                            a predicted object
=========  =======================================  =============================================
empty      has no pixels and is counted nowhere     has no pixels and is counted nowhere
matched    has a prediction of its own              is the prediction of a true object
split      covers two or more predictions           (after merged) lies in pieces: is covered by
                                                    a true object that covers others, too
merged     (after split) is covered by a            covers two or more true objects
           prediction that covers others, too
missed     all others
extra                                               all others
=========  =======================================  =============================================

Matches are one to one, the highest intersection over union (IoU) first, and need an IoU strictly
above the threshold: their number is that of the true positives of the competition's metric.
Exchange truth and prediction, and missed becomes extra and merged becomes split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.instances import Instances
from napari_sartorius.evaluation.matching import Pairs, one_to_one
from napari_sartorius.evaluation.outcome_tables import (
    ObjectOutcomes,
    ObjectTable,
    Outcome,
    OutcomeCounts,
    total_counts,
)

if TYPE_CHECKING:
    from napari_sartorius.core.masks import CropMasks

__all__ = [
    "Comparison",
    "ObjectOutcomes",
    "ObjectTable",
    "Outcome",
    "OutcomeCounts",
    "compare_objects",
    "object_outcomes",
    "total_counts",
]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All overlaps of two sides, found once; `outcomes` then takes milliseconds per threshold.

    Parameters
    ----------
    truth_area, predicted_area : (N,) and (M,) int64
        Pixels of each object.
    pairs : Pairs
        All P pairs that share pixels, and their IoU.
    shared : (P,) int64
        Pixels that both have.
    matches : Pairs
        The pairs chosen one to one, highest IoU first, for the threshold 0: those above a higher
        threshold are the choice for that one.
    """

    truth_area: NDArray[np.int64]
    predicted_area: NDArray[np.int64]
    pairs: Pairs
    shared: NDArray[np.int64]
    matches: Pairs

    def outcomes(self, iou: float = 0.5) -> ObjectOutcomes:
        """Return what became of every object.

        Raises
        ------
        ValueError
            If the threshold is not in 0 (included) to 1.
        """
        if not 0.0 <= iou < 1.0:
            raise ValueError(f"the IoU threshold must be at least 0 and below 1, got {iou}")
        matches = _chosen(self.matches, self.matches.iou > iou)
        truth = _table(
            self.truth_area,
            self.predicted_area,
            self.pairs,
            self.shared,
            matches,
            (Outcome.MISSED, Outcome.MERGED, Outcome.SPLIT),
        )
        predicted = _table(
            self.predicted_area,
            self.truth_area,
            _turned(self.pairs),
            self.shared,
            _turned(matches),
            (Outcome.EXTRA, Outcome.SPLIT, Outcome.MERGED),
        )
        return ObjectOutcomes(truth, predicted, float(iou))

    def truths_covered(self, prediction: int) -> NDArray[np.int64]:
        """Return the indices of the true objects that a prediction covers, ascending."""
        first, second, _ = self.pairs
        chosen = (second == prediction) & (2 * self.shared > self.truth_area[first])
        found: NDArray[np.int64] = first[chosen]
        return found

    def predictions_covered(self, truth: int) -> NDArray[np.int64]:
        """Return the indices of the predictions that a true object covers, ascending."""
        first, second, _ = self.pairs
        chosen = (first == truth) & (2 * self.shared > self.predicted_area[second])
        found: NDArray[np.int64] = second[chosen]
        return found

    def precision(self, ious: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return TP / (TP + FP + FN) at each threshold, 0 to 1; 1 if there is nothing to find."""
        found = (self.matches.iou[:, None] > ious).sum(axis=0)
        truths = np.count_nonzero(self.truth_area)
        predictions = np.count_nonzero(self.predicted_area)
        if truths + predictions == 0:
            return np.ones(len(ious))
        result: NDArray[np.float64] = found / (truths + predictions - found)
        return result


def compare_objects(
    truth: Instances | CropMasks,
    predicted: Instances | CropMasks,
    *,
    remove_overlap: bool = True,
) -> Comparison:
    """Find which true and predicted objects of one image overlap, and by how much.

    Parameters
    ----------
    truth : Instances or CropMasks
        Annotated objects; they may overlap.
    predicted : Instances or CropMasks
        Predicted objects of the same image. Categories play no part.
    remove_overlap : bool
        Whether each pixel of the predictions is first left to the best object, as in
        `competition.competition_score`: by score of instances, the first of masks. Objects that
        lose all their pixels are empty then.

    Raises
    ------
    ValueError
        If the images differ in size.
    """
    true_masks = truth.masks if isinstance(truth, Instances) else truth
    masks = predicted.masks if isinstance(predicted, Instances) else predicted
    if remove_overlap:
        order = None
        if isinstance(predicted, Instances):
            order = np.argsort(-predicted.scores, kind="stable")
        masks = masks.remove_overlap(order)
    rows, cols, shared = true_masks.overlaps(masks)
    true_area, area = true_masks.area(), masks.area()
    pairs = Pairs(rows, cols, shared / (true_area[rows] + area[cols] - shared))
    # Equal overlaps in an order that does not ask which side is the truth: two pairs with the same
    # sum and difference of indices have no object in common.
    neutral = np.lexsort((np.abs(rows - cols), rows + cols))
    return Comparison(true_area, area, pairs, shared, one_to_one(_chosen(pairs, neutral)))


def object_outcomes(
    truth: Instances | CropMasks,
    predicted: Instances | CropMasks,
    iou: float = 0.5,
    *,
    remove_overlap: bool = True,
) -> ObjectOutcomes:
    """Return what became of every object of one image; see `compare_objects` and the module.

    Parameters
    ----------
    truth, predicted : Instances or CropMasks
        N true and M predicted objects.
    iou : float
        A match needs an IoU strictly above, 0 (included) to 1.
    remove_overlap : bool
        Whether each pixel of the predictions is first left to the best object.
    """
    return compare_objects(truth, predicted, remove_overlap=remove_overlap).outcomes(iou)


def _chosen(pairs: Pairs, index: NDArray[np.int64] | NDArray[np.bool_]) -> Pairs:
    return Pairs(pairs.truth[index], pairs.predicted[index], pairs.iou[index])


def _turned(pairs: Pairs) -> Pairs:
    return Pairs(pairs.predicted, pairs.truth, pairs.iou)


def _table(
    area: NDArray[np.int64],
    other_area: NDArray[np.int64],
    pairs: Pairs,
    shared: NDArray[np.int64],
    matches: Pairs,
    names: tuple[Outcome, Outcome, Outcome],
) -> ObjectTable:
    """Return one side's table; in `pairs` and `matches` this side comes first.

    `names` are the outcomes of an unmatched object that is nothing else, that is covered together
    with others, and that covers several itself.
    """
    side, other, ratio = pairs
    inside, around = 2 * shared > area[side], 2 * shared > other_area[other]
    covers = np.bincount(side[around], minlength=len(area))
    together = np.bincount(other[inside], minlength=len(other_area)) > 1
    # Where an index occurs several times the last value stays: each order ends with the best, and
    # of equal ones with the lowest index.
    covered_by = np.full(len(area), -1, np.int64)
    order = np.lexsort((-other, shared, together[other]))
    order = order[inside[order]]
    covered_by[side[order]] = other[order]
    partner, best = np.full(len(area), -1, np.int64), np.zeros(len(area))
    order = np.lexsort((-other, ratio))
    partner[side[order]], best[side[order]] = other[order], ratio[order]
    partner[matches[0]], best[matches[0]] = matches[1:]

    outcome = np.full(len(area), names[0], np.uint8)
    held = np.flatnonzero(covered_by >= 0)
    outcome[held[together[covered_by[held]]]] = names[1]
    outcome[covers > 1] = names[2]
    outcome[area == 0] = Outcome.EMPTY
    outcome[matches[0]] = Outcome.MATCHED
    return ObjectTable(outcome, partner, best, covers, covered_by)
