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

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.evaluation.label_images import pairs_of_label_images, published_pairs
from napari_sartorius.evaluation.matching import one_to_one, pairs_above
from napari_sartorius.evaluation.painting import painted, pairs_with_painted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.evaluation.matching import Pairs

Variant: TypeAlias = Literal[
    "corrected",
    "theoviel",
    "t4e",
    "a2",
    "label_image",
    "label_image_theoviel",
    "label_image_published",
]
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
- ``label_image_theoviel``: the same images counted as ``theoviel`` does.
- ``label_image_published``: ``label_image`` with the notebook's error: where an object is painted
  over completely, its histogram has fewer bins than there are labels and joins neighbours.
"""

THRESHOLDS: NDArray[np.float64] = np.arange(10, 20) / 20
"""0.5, 0.55, ..., 0.95."""
_LOWEST = 0.5


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
    UserError
        If the images differ in size or a prediction's score is not a number.
    ValueError
        If the variant is unknown.
    """
    if variant not in get_args(Variant):
        raise ValueError(f"unknown variant {variant!r}, choose from {get_args(Variant)}")
    true_masks, masks = _masks(truth), _masks(predicted)
    if true_masks.image_size != masks.image_size:
        (h, w), (other_h, other_w) = true_masks.image_size, masks.image_size
        raise UserError(
            f"The truth has {h} x {w} pixels but the prediction {other_h} x {other_w}, expected "
            "the same image: segment the original image."
        )
    if variant == "label_image_published":
        return _count(*published_pairs(true_masks, masks, _LOWEST), variant)
    if variant in ("label_image", "label_image_theoviel"):
        return _count(*pairs_of_label_images(true_masks, masks, _LOWEST), variant)
    area = true_masks.area()
    if not area.all():
        true_masks = true_masks[area > 0]
    if not remove_overlap:
        pairs, left = pairs_above(true_masks, masks, _LOWEST), masks.area()
    else:
        image = painted(masks)
        pairs, left = pairs_with_painted(true_masks, image, _LOWEST), image.areas
    found = len(masks) if variant == "t4e" else int(np.count_nonzero(left))
    return _count(pairs, len(true_masks), found, variant)


def _masks(objects: Instances | CropMasks) -> CropMasks:
    if not isinstance(objects, Instances):
        return objects
    wrong = np.flatnonzero(np.isnan(objects.scores))
    if wrong.size:
        raise UserError(
            f"The score of object {wrong[0] + 1} is not a number, expected 0 to 1: "
            "repeat the prediction or remove the object."
        )
    return objects.sort_by_score().masks


def _count(pairs: Pairs, truth: int, predicted: int, variant: Variant) -> CompetitionScore:
    """Count `pairs` above the lowest threshold of so many true and predicted masks.

    Masks without pairs are told apart by number only, so emptied predictions may keep theirs.
    """
    nothing = not truth and not predicted
    if variant == "corrected":
        matched = (one_to_one(pairs).iou[:, None] > THRESHOLDS).sum(axis=0)
        return CompetitionScore(matched, predicted - matched, truth - matched, nothing)
    above = pairs.iou[:, None] > THRESHOLDS
    matches = _matches_of(pairs.truth, above)
    missed = truth - (matches > 0).sum(axis=0)
    found_once, ambiguous = (matches == 1).sum(axis=0), (matches > 1).sum(axis=0)
    matches = _matches_of(pairs.predicted, above)
    wrong = predicted - (matches > 0).sum(axis=0)
    if variant == "t4e":
        found_once = (matches == 1).sum(axis=0)
    elif variant == "a2":
        found_once = (matches > 0).sum(axis=0)
    elif variant in ("theoviel", "label_image_theoviel"):
        wrong = wrong + ambiguous
    return CompetitionScore(found_once, wrong, missed, nothing)


def _matches_of(index: NDArray[np.int64], above: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many matches each mask that has a pair has at every threshold, (masks, 10)."""
    _, place = np.unique(index, return_inverse=True)
    result = np.zeros((int(place.max()) + 1 if place.size else 0, len(THRESHOLDS)), np.int64)
    np.add.at(result, place, above.astype(np.int64))
    return result


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
