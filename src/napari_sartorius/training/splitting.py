"""Splits that can be trusted: no group on both sides, every kind of cell on each, enough images.

Groups are dealt out one by one, the largest first, each to the side that lacks its kinds of images
most: the greedy form of iterative stratification (Sechidis et al. 2011) for whole groups. Then
groups move until every kind is trained on and enough images validate, where both can be had.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import agree, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage

    Ints = NDArray[np.int64]

FEWEST_IMAGES = 5
"""With fewer there is none to spare; strips of each image are kept apart instead."""

FEWEST_VALIDATING = 2
"""A single image measures its own peculiarities."""

GROUP_FIELDS = ("group", "plate_well", "field")
KIND_FIELD = "cell_type"


def split_in_two(
    dataset: CocoDataset,
    *,
    share: float = 0.2,
    seed: int = 0,
    group: Sequence[str] | None = None,
    kind: str = KIND_FIELD,
) -> CocoDataset:
    """Mark each image ``split`` ``train`` or ``val``.

    Parameters
    ----------
    dataset
        Annotated images; stays as it is.
    share
        Of the images that validates, 0..1.
    seed
        The same seed gives the same split.
    group
        Fields of the images' records; images that agree in all of them stay together, and so do the
        planes of one file. None: the first of `GROUP_FIELDS` that some record has.
    kind
        Field by which the split is stratified; where a record lacks it, the category that most of
        its objects have.

    Raises
    ------
    UserError
        With too few images or groups to split, or when no record has a field of `group`.
    """
    if not 0 < share < 1:
        raise UserError(f"a share of {share} is no split: give one between 0 and 1, such as 0.2")
    table = _table(dataset, group, kind, seed)
    _refuse_few(dataset, table, 2)
    side = deal(table, np.array([1 - share, share]))
    side = _enough(table, _every_kind_trained(table, side))
    return _marked(dataset, table, [{"split": ("train", "val")[s]} for s in side.tolist()])


def split_in_folds(
    dataset: CocoDataset,
    folds: int,
    *,
    held_out: int = 0,
    seed: int = 0,
    group: Sequence[str] | None = None,
    kind: str = KIND_FIELD,
) -> CocoDataset:
    """Give each image its ``fold``, 0 to `folds` - 1; ``split`` is ``val`` for fold `held_out`.

    Parameters and errors as for `split_in_two`.
    """
    if folds < 2 or not 0 <= held_out < folds:
        raise UserError(
            f"{plural(folds, 'fold')} with number {held_out} held out {agree(folds, 'is', 'are')} "
            "no split: give 2 or more"
        )
    table = _table(dataset, group, kind, seed)
    _refuse_few(dataset, table, folds)
    fold = deal(table, np.full(folds, 1 / folds))
    marks = [
        {"fold": number, "split": "val" if number == held_out else "train"}
        for number in fold.tolist()
    ]
    return _marked(dataset, table, marks)


def most_folds(dataset: CocoDataset, group: Sequence[str] | None = None) -> int:
    """Into how many folds `split_in_folds` can divide images at most: 0 where they are too few."""
    if len(dataset) < FEWEST_IMAGES:
        return 0
    return len(_table(dataset, group, KIND_FIELD, 0).groups)


class _Table:
    """Which group each image is in, and how many images of each kind the groups have."""

    def __init__(self, group_of: list[str], kind_of: list[str], seed: int) -> None:
        self.groups, self.index = np.unique(group_of, return_inverse=True)
        kinds, kind = np.unique(kind_of, return_inverse=True)
        self.counts: Ints = np.zeros((len(self.groups), len(kinds)), np.int64)
        np.add.at(self.counts, (self.index, kind), 1)
        shuffled = np.random.default_rng(seed).permutation(len(self.groups))
        sizes = self.counts.sum(axis=1)
        self.order: Ints = shuffled[np.argsort(-sizes[shuffled], kind="stable")]


def deal(table: _Table, shares: NDArray[np.float64]) -> Ints:
    """Side (G,) of each group: where its kinds are short of their share most."""
    totals = table.counts.sum(axis=0)
    filled = np.zeros((len(shares), table.counts.shape[1]))
    wanted = shares[:, None] * totals[None, :]
    side = np.zeros(len(table.groups), np.int64)
    for group in table.order.tolist():
        own = table.counts[group]
        # What the distance to the wanted counts becomes, by kind and for all images together.
        lack = (own * (2 * (filled - wanted) + own) / totals).sum(axis=1)
        size, images = own.sum(), totals.sum()
        lack = lack + size * (2 * (filled - wanted).sum(axis=1) + size) / images
        best = int(np.argmin(lack))
        side[group] = best
        filled[best] += own
    return side


def _every_kind_trained(table: _Table, side: Ints) -> Ints:
    """Bring the smallest group of each kind over that was dealt to validation alone."""
    side = side.copy()
    by_size = table.order[::-1].tolist()
    for kind in range(table.counts.shape[1]):
        holding = [group for group in by_size if table.counts[group, kind]]
        if all(side[group] == 1 for group in holding):
            side[holding[0]] = 0
    return side


def _enough(table: _Table, side: Ints) -> Ints:
    """As it is where `FEWEST_VALIDATING` images validate, else one or two groups that do.

    Of all choices the one that takes the last group of fewest kinds away from training, then the
    one that leaves the kinds it takes from most of their images, then the one of fewest images.
    """
    totals, sizes = table.counts.sum(axis=0), table.counts.sum(axis=1)
    fewest = min(FEWEST_VALIDATING, int(sizes.sum() - sizes.max()))
    if int(sizes[side == 1].sum()) >= fewest:
        return side
    best: tuple[tuple[int, float, int], tuple[int, ...]] | None = None
    for number in range(1, min(fewest, len(sizes) - 1) + 1):
        for chosen in combinations(_distinct(table, fewest), number):
            taken = table.counts[list(chosen)].sum(axis=0)
            if taken.sum() < fewest:
                continue
            touched = taken > 0
            left = (totals - taken)[touched]
            lost = int(np.count_nonzero(left == 0))
            rank = (lost, -float((left / totals[touched]).min()), int(taken.sum()))
            if best is None or rank < best[0]:
                best = rank, chosen
    assert best is not None  # all groups but the largest hold so many
    return np.isin(np.arange(len(sizes)), best[1]).astype(np.int64)


def _distinct(table: _Table, most: int) -> list[int]:
    """Of groups with the same images of each kind the first `most`: more offer no other choice."""
    seen: Counter[bytes] = Counter()
    kept = []
    for group in table.order.tolist():
        like = table.counts[group].tobytes()
        seen[like] += 1
        if seen[like] <= most:
            kept.append(group)
    return kept


def _table(dataset: CocoDataset, group: Sequence[str] | None, kind: str, seed: int) -> _Table:
    fields = group_fields(dataset) if group is None else tuple(group)
    missing = [f for f in fields if not any(f in image.extra for image in dataset.images)]
    if missing:
        known = sorted({key for image in dataset.images for key in image.extra})
        raise UserError(
            f"no image has the field '{missing[0]}' to group by: "
            + (f"choose among {', '.join(known)}" if known else "the records have no fields")
        )
    groups = [_group(image, fields) for image in dataset.images]
    return _Table(groups, [_kind(dataset, image, kind) for image in dataset.images], seed)


def group_fields(dataset: CocoDataset) -> tuple[str, ...]:
    """The field that images are grouped by when nobody says: none or one of `GROUP_FIELDS`."""
    for name in GROUP_FIELDS:
        if any(name in image.extra for image in dataset.images):
            return (name,)
    return ()


def needs_care(dataset: CocoDataset) -> bool:
    """Whether images are not all alike: they have groups, several kinds, or share files."""
    files = {image.file_name for image in dataset.images}
    kinds = {_kind(dataset, image, KIND_FIELD) for image in dataset.images}
    return bool(group_fields(dataset)) or len(kinds) > 1 or len(files) < len(dataset)


def _group(image: CocoImage, fields: Sequence[str]) -> str:
    values = [str(image.extra[name]) for name in fields if name in image.extra]
    # An image of which nothing is known is a group of its own, with the other planes of its file.
    return "group " + " | ".join(values) if values else f"file {image.file_name}"


def _kind(dataset: CocoDataset, image: CocoImage, field: str) -> str:
    if field in image.extra:
        return str(image.extra[field])
    categories = dataset.instances[image.id].categories
    return str(np.bincount(categories).argmax()) if len(categories) else "none"


def _refuse_few(dataset: CocoDataset, table: _Table, sides: int) -> None:
    if len(dataset) < FEWEST_IMAGES:
        raise UserError(
            f"{plural(len(dataset), 'image')} {agree(len(dataset), 'is', 'are')} too few to split, "
            f"expected {FEWEST_IMAGES} or more: train without a split, which keeps a quarter of "
            "each image apart to measure the result"
        )
    if len(table.groups) < sides:
        raise UserError(
            f"the images belong to {plural(len(table.groups), 'group')}, which cannot be split "
            f"into {sides} sides: group by another field, or by file_name alone with --group none"
        )


def _marked(dataset: CocoDataset, table: _Table, marks: list[dict[str, str | int]]) -> CocoDataset:
    images = [
        replace(image, extra=image.extra | marks[group])
        for image, group in zip(dataset.images, table.index.tolist(), strict=True)
    ]
    return replace(dataset, images=images)
