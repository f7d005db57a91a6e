"""Folds of images: what belongs together stays so, and each has its share of every category."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def assign_folds(
    groups: Sequence[str], categories: Sequence[str], folds: int, seed: int = 0
) -> NDArray[np.int64]:
    """Fold of each image.

    Groups are dealt out one after the other, the largest of a category first, each to the fold that
    has fewest images of its category.

    Parameters
    ----------
    groups, categories : sequence of str
        Of each image; a group has the category of its first image.
    folds : int
        At least 2.
    seed : int
        Decides among groups of equal size.

    Returns
    -------
    (N,) int64
        0 to `folds` - 1.

    Raises
    ------
    UserError
        When there are fewer groups than folds.
    """
    names, first, owner, sizes = np.unique(
        np.asarray(groups), return_index=True, return_inverse=True, return_counts=True
    )
    if len(names) < folds:
        raise UserError(
            f"{plural(len(groups), 'image')} in {plural(len(names), 'group')} cannot be parted "
            f"into {folds} folds; add images, or ask for fewer folds"
        )
    kinds, kind = np.unique(np.asarray(categories)[first], return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.lexsort((-sizes[shuffled], kind[shuffled]))]
    images = np.zeros((len(kinds), folds), np.int64)
    fold_of_group = np.zeros(len(names), np.int64)
    for group in order.tolist():
        of_kind = images[kind[group]]
        # Equal so far: the fold with fewest images of all.
        fold = int(np.lexsort((images.sum(axis=0), of_kind))[0])
        fold_of_group[group] = fold
        of_kind[fold] += sizes[group]
    result: NDArray[np.int64] = fold_of_group[owner.reshape(-1)]
    return result
