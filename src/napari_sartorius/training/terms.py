"""Corrected cells in terms of the categories that a model has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.categories import Category, default_colour
from napari_sartorius.core.wording import agree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.io.coco import CocoDataset


def same_kinds(start: Sequence[str], names: Sequence[str]) -> bool:
    """Whether last layers made for some categories are of use for others.

    The names must agree in their order, but one kind of cell is one kind of cell, whatever it is
    called.
    """
    return list(start) == list(names) or len(start) == len(names) == 1


def knows_the_first(start: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the kinds of a start come first among others, so that only those behind are new."""
    return same_kinds(start, names) or list(names[: len(start)]) == list(start)


def in_terms_of(dataset: CocoDataset, names: list[str], *, keep: bool = True) -> CocoDataset:
    """The same objects with the categories of a model, and behind them those that it lacks.

    Categories of which there is no object teach nothing; a model that is trained further keeps its
    own, so that its last layers need not begin anew. A model of one kind of cell that learns one
    kind learns what that is called here.

    Parameters
    ----------
    dataset
        Corrected images.
    names
        The model's categories in order.
    keep
        Whether the model shall know its categories beside new ones; otherwise it knows those that
        occur and no others, unless it knew all of them.
    """
    used = {
        dataset.category_names[number]
        for instances in dataset.instances.values()
        for number in np.unique(instances.categories).tolist()
    }
    by_name = {category.name: category for category in dataset.categories}
    occurring = [name for name in dataset.category_names if name in used]
    if used <= set(names):
        wanted = names
    elif keep and not len(names) == len(used) == 1:
        wanted = [*names, *(name for name in occurring if name not in names)]
    else:
        wanted = occurring
    kinds = [
        by_name.get(name) or Category(1000 + n, name, default_colour(n))
        for n, name in enumerate(wanted)
    ]
    place = np.array([wanted.index(n) if n in wanted else -1 for n in dataset.category_names])
    instances = {
        key: replace(one, categories=place[one.categories])
        for key, one in dataset.instances.items()
    }
    return replace(dataset, categories=kinds, instances=instances)


def kinds_alike_in_words(names: Sequence[str]) -> tuple[str, ...]:
    """What is to be said of kinds whose names differ in capitals or spaces only.

    Dashes may mean something, as in GFP+ and GFP-.
    """
    alike: dict[str, list[str]] = {}
    for name in names:
        plain = "".join(name.casefold().replace("_", " ").split())
        alike.setdefault(plain, []).append(name)
    return tuple(
        f"{' and '.join(group)} are learnt as different kinds: where they are one, give their "
        "cells one name."
        for group in alike.values()
        if len(group) > 1
    )


def kinds_in_words(model: str, known: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """What becomes of a model's categories, where they do not simply stay: a sentence or none.

    Parameters
    ----------
    model
        Its name.
    known, names
        Its categories, and those of the training as `in_terms_of` gives them.
    """
    new = [name for name in names if name not in known]
    if not new or len(known) == len(names) == 1:
        return ()
    whose = f"{' and '.join(new)} {agree(len(new), 'is', 'are')} new to {model}, which"
    if set(known) <= set(names):
        return (f"{whose} goes on finding {', '.join(known)} as well.",)
    return (f"{whose} will find nothing else.",)
