"""Where an image shows one category: which one, and what becomes of objects called otherwise.

Most cultures hold one kind of cell, so all objects of an image decide together, which is far more
certain than each for itself. A kind that a model has learnt from a few images needs more evidence
than the old ones: cells of old kinds that the training never showed may look more like the new kind
than like anything else that it showed. Where the new kind loses, its objects were found all the
same: they count as the winner, with the probabilities of both names for a cell added up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.postprocess.nms import pairs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances

# As far as two outlines must agree to be of one cell, as in AP50.
_SAME_CELL = 0.5


def winner(found: Instances, score: NDArray[np.float32], vote: NDArray[np.float32]) -> int | None:
    """The category with the largest sum of scores; None where no object is certain enough.

    Parameters
    ----------
    found
        Objects of one image.
    score : (K,) float32
        An object below that of its category has no vote, 0..1.
    vote : (K,) float32
        Weight of the scores of each category, above 0 to 1.
    """
    heard = found.scores >= score[found.categories]
    if not heard.any():
        return None
    kinds = found.categories[heard]
    votes = np.bincount(kinds, found.scores[heard] * vote[kinds], len(score))
    return int(votes.argmax())


def counted_as(found: Instances, category: int, yielding: NDArray[np.bool_]) -> Instances:
    """Objects of one category, with those of categories that yield to it.

    Parameters
    ----------
    found
        Objects of one image, doubles included.
    category
        What the image shows. When that is a category that yields, no other yields to it.
    yielding : (K,) bool
        Categories whose objects count as those of a category that does not yield.

    Returns
    -------
    Instances
        All of `category`. Where two names were given to one cell (mask IoU of at least 0.5), both
        objects have the sum of the two probabilities, at most 1.
    """
    kept = found.categories == category
    if yielding[category] or not yielding.any():
        return found[kept]
    among = found[kept | yielding[found.categories]]
    pairs = pairs_of(among.masks)
    names = among.categories
    twice = (pairs.iou >= _SAME_CELL) & (names[pairs.rows] != names[pairs.cols])
    rows, cols = pairs.rows[twice], pairs.cols[twice]
    other = np.zeros(len(among), np.float32)
    np.maximum.at(other, rows, among.scores[cols])
    np.maximum.at(other, cols, among.scores[rows])
    return replace(
        among,
        categories=np.full_like(names, category),
        scores=np.minimum(among.scores + other, np.float32(1)),
    )
