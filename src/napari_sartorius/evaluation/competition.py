"""The score of the Sartorius and Data Science Bowl competitions: precision over ten IoU thresholds.

For one image, precision at a threshold is TP / (TP + FP + FN); the image's score is the mean over
the thresholds 0.50, 0.55, ..., 0.95, a match needing an IoU strictly above; a data set's score is
the mean over its images. Published implementations differ in what they count when a mask has
several matches; `Variant` names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.instances import Instances
from napari_sartorius.evaluation.matching import one_to_one, pairs_above

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.masks import CropMasks

Variant: TypeAlias = Literal["corrected", "theoviel", "t4e", "a2", "label_image"]
"""How matches are counted.

- ``corrected``: one to one, best overlap first; FP and FN are what is left on either side.
- ``theoviel`` (11th place): TP = true masks with exactly one match, FN = those with none,
  FP = predictions with none and true masks with several.
- ``t4e`` (7th place): TP = predictions with exactly one match, FP = predictions with none, FN =
  true masks with none; predictions emptied by overlap removal stay and count as false.
- ``a2`` (a public notebook): TP = predictions with a match, FP = those without, FN = true masks
  without.
- ``label_image`` (a public notebook): both sides are painted into label images in list order,
  later objects over earlier ones, and counted as TP = true masks with exactly one match, FP =
  predictions with none, FN = true masks with none.
"""

THRESHOLDS: NDArray[np.float64] = np.arange(10, 20) / 20
"""0.5, 0.55, ..., 0.95."""


@dataclass(frozen=True)
class CompetitionScore:
    """What was counted at each threshold, and the score that follows.

    Parameters
    ----------
    true_positives, false_positives, false_negatives : (10,) int64
        Counts at `THRESHOLDS`.
    nothing_to_find : bool
        Whether there was neither truth nor prediction; such an image scores 1.
    """

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    false_negatives: NDArray[np.int64]
    nothing_to_find: bool = False

    @property
    def precisions(self) -> NDArray[np.float64]:
        """TP / (TP + FP + FN) at each threshold, (10,); 0 where nothing was counted."""
        total = self.true_positives + self.false_positives + self.false_negatives
        if self.nothing_to_find:
            return np.ones(len(THRESHOLDS))
        result: NDArray[np.float64] = self.true_positives / np.maximum(total, 1)
        return result

    @property
    def score(self) -> float:
        """Mean precision, 0 to 1."""
        return float(self.precisions.mean())


def competition_score(
    truth: Instances | CropMasks,
    predicted: Instances | CropMasks,
    variant: Variant = "corrected",
    *,
    remove_overlap: bool = True,
) -> CompetitionScore:
    """Score the predictions of one image.

    Parameters
    ----------
    truth : Instances or CropMasks
        Annotated objects; they may overlap. Empty masks are left out.
    predicted : Instances or CropMasks
        Predicted objects of the same image. Instances are taken by score, masks as they stand,
        best first. Categories play no part.
    variant : str
        How to count, see `Variant`.
    remove_overlap : bool
        Whether each pixel of the predictions is first left to the best object, as the
        competition demanded; ``label_image`` does so in its own way.

    Returns
    -------
    CompetitionScore
        Its `score` is 0 for an image without predictions, and 1 if there is nothing to find and
        nothing was found.

    Raises
    ------
    ValueError
        If the variant is unknown or the images differ in size.
    """
    if variant not in get_args(Variant):
        raise ValueError(f"unknown variant {variant!r}, choose from {get_args(Variant)}")
    true_masks = _masks(truth)
    masks = _masks(predicted)
    if variant == "label_image":
        masks = masks.remove_overlap(np.arange(len(masks))[::-1])
        true_masks = true_masks.remove_overlap(np.arange(len(true_masks))[::-1])
    elif remove_overlap:
        masks = masks.remove_overlap()
    true_masks = true_masks[true_masks.area() > 0]
    if variant != "t4e":
        masks = masks[masks.area() > 0]
    return _count(true_masks, masks, variant)


def _masks(objects: Instances | CropMasks) -> CropMasks:
    return objects.sort_by_score().masks if isinstance(objects, Instances) else objects


def _count(truth: CropMasks, predicted: CropMasks, variant: Variant) -> CompetitionScore:
    nothing = not len(truth) and not len(predicted)
    pairs = pairs_above(truth, predicted, float(THRESHOLDS[0]))
    if variant == "corrected":
        matched = (one_to_one(pairs).iou[:, None] > THRESHOLDS).sum(axis=0)
        return CompetitionScore(matched, len(predicted) - matched, len(truth) - matched, nothing)
    above = (pairs.iou[:, None] > THRESHOLDS).astype(np.int64)
    per_truth = np.zeros((len(truth), len(THRESHOLDS)), np.int64)
    per_prediction = np.zeros((len(predicted), len(THRESHOLDS)), np.int64)
    np.add.at(per_truth, pairs.truth, above)
    np.add.at(per_prediction, pairs.predicted, above)
    missed = (per_truth == 0).sum(axis=0)
    wrong = (per_prediction == 0).sum(axis=0)
    if variant == "t4e":
        found = (per_prediction == 1).sum(axis=0)
    elif variant == "a2":
        found = (per_prediction > 0).sum(axis=0)
    else:
        found = (per_truth == 1).sum(axis=0)
        if variant == "theoviel":
            wrong = wrong + (per_truth > 1).sum(axis=0)
    return CompetitionScore(found, wrong, missed, nothing)


def mean_score(scores: Sequence[CompetitionScore]) -> float:
    """Return the score of a data set: the mean over its images; not-a-number without images."""
    return float(np.mean([score.score for score in scores])) if scores else float("nan")


def pooled_score(scores: Sequence[CompetitionScore]) -> float:
    """Return the score from counts added over all images, as a public notebook does.

    Images with many objects weigh more than in the competition's own mean over images.
    """
    if not scores:
        return float("nan")
    return CompetitionScore(
        np.sum([score.true_positives for score in scores], axis=0),
        np.sum([score.false_positives for score in scores], axis=0),
        np.sum([score.false_negatives for score in scores], axis=0),
        all(score.nothing_to_find for score in scores),
    ).score
