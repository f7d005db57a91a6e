"""The score threshold and minimum size per category that do best on annotated images.

The predictions are made once, with a low score threshold. Overlaps are resolved in the order of
scores, so leaving out low scores never changes what is left of the others: matches need to be
found only once per image, and every threshold is a sum over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.evaluation.competition import THRESHOLDS
from napari_sartorius.evaluation.matching import one_to_one
from napari_sartorius.evaluation.painting import painted, pairs_with_painted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sartorius.core.instances import Instances

DEFAULT_SCORES: tuple[float, ...] = tuple(np.round(np.arange(0.05, 0.96, 0.025), 3).tolist())
DEFAULT_SIZES: tuple[int, ...] = (0, 10, 20, 30, 40, 50, 60, 75, 100, 125, 150, 200)


@dataclass(frozen=True)
class CategoryThresholds:
    """What was found for one category.

    Parameters
    ----------
    category : int
        0-based.
    score_threshold : float
        Objects need at least this score.
    min_size : int
        Objects need at least this many pixels once overlaps are removed.
    competition_score : float
        Mean over the category's images with these two, 0 to 1.
    images : int
        How many images that mean is over.
    scores, sizes : tuple
        What was tried.
    table : (len(scores), len(sizes)) float64
        Mean competition score of every combination.
    """

    category: int
    score_threshold: float
    min_size: int
    competition_score: float
    images: int
    scores: tuple[float, ...]
    sizes: tuple[int, ...]
    table: NDArray[np.float64]


class MatchedImage(NamedTuple):
    """Objects of one image that share no pixel, best score first, and their true counterparts.

    Attributes
    ----------
    truth_count
        True objects.
    scores, areas, ious : (N,)
        Of the objects; IoU with the true one that each is, 0 where it is none.
    """

    truth_count: int
    scores: NDArray[np.float32]
    areas: NDArray[np.int64]
    ious: NDArray[np.float64]


def search_thresholds(
    cases: Iterable[tuple[Instances, Instances]],
    *,
    scores: Sequence[float] = DEFAULT_SCORES,
    sizes: Sequence[int] = DEFAULT_SIZES,
    same_category: bool = True,
) -> dict[int, CategoryThresholds]:
    """Try all combinations of score threshold and minimum size, category by category.

    An image belongs to the category that most of its true objects have, as in data sets with one
    cell type per image.

    Parameters
    ----------
    cases : iterable of (truth, predicted)
        One pair per image. Predictions should reach down to the lowest score tried and have gone
        through everything that comes before the thresholds, such as mask NMS. Images without
        true objects are left out.
    scores, sizes : sequence
        Values to try. Of equally good ones the lowest is taken.
    same_category : bool
        Whether only predictions of the image's category count, as when the segmenter settles on
        one cell type per image.

    Returns
    -------
    dict of int to CategoryThresholds
        By category, for those that occur.
    """
    images: dict[int, list[MatchedImage]] = {}
    for truth, predicted in cases:
        if not len(truth):
            continue
        category = int(np.bincount(truth.categories).argmax())
        chosen = predicted[predicted.categories == category] if same_category else predicted
        images.setdefault(category, []).append(match_image(truth, chosen))
    return {
        category: _best(category, found, tuple(scores), tuple(sizes))
        for category, found in sorted(images.items())
    }


def match_image(truth: Instances, predicted: Instances) -> MatchedImage:
    """Leave each pixel to the best object, and find out which true object each is."""
    ordered = predicted.sort_by_score()
    image = painted(ordered.masks)
    true_masks = truth.masks[truth.masks.area() > 0]
    # Predictions do not overlap any more, so no true object matches two of them above one half:
    # the choice for one prediction does not depend on which others are there.
    matches = one_to_one(pairs_with_painted(true_masks, image, float(THRESHOLDS[0])))
    ious = np.zeros(len(ordered), np.float64)
    ious[matches.predicted] = matches.iou
    return MatchedImage(len(true_masks), ordered.scores, image.areas, ious)


def _best(
    category: int,
    images: Sequence[MatchedImage],
    scores: tuple[float, ...],
    sizes: tuple[int, ...],
) -> CategoryThresholds:
    table = np.zeros((len(scores), len(sizes)), np.float64)
    for image in images:
        table += image_table(image, scores, sizes)
    table /= len(images)
    row, column = np.unravel_index(int(table.argmax()), table.shape)
    return CategoryThresholds(
        category=category,
        score_threshold=scores[row],
        min_size=sizes[column],
        competition_score=float(table[row, column]),
        images=len(images),
        scores=scores,
        sizes=sizes,
        table=table,
    )


def image_table(
    image: MatchedImage, scores: Sequence[float], sizes: Sequence[float]
) -> NDArray[np.float64]:
    """Return the image's competition score for every combination, (scores, sizes)."""
    # Scores descend: a threshold keeps the first so many.
    kept = np.searchsorted(-image.scores, -np.asarray(scores, np.float32), side="right")
    table = np.zeros((len(scores), len(sizes)), np.float64)
    above = image.ious[:, None] > THRESHOLDS
    for column, size in enumerate(sizes):
        large = image.areas >= max(size, 1)
        objects = np.concatenate([[0], np.cumsum(large)])[kept]
        found = np.zeros((len(image.scores) + 1, len(THRESHOLDS)), np.int64)
        np.cumsum(above & large[:, None], axis=0, out=found[1:])
        hits = found[kept]
        table[:, column] = (hits / (image.truth_count + objects[:, None] - hits)).mean(axis=1)
    return table
