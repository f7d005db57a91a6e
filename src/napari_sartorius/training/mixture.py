"""Further images beside those that a model is for: how often they come at each step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.io.coco import CocoDataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.io.coco import ImageId


@dataclass(frozen=True, eq=False)
class FurtherImages:
    """Images that a training takes from elsewhere.

    Attributes
    ----------
    dataset
        With the categories of the training in its order (see `in_categories_of`).
    share
        Share of the crops at a 0-based step, 0..1; None gives every image of both sets the same
        chance.
    """

    dataset: CocoDataset
    share: Callable[[int], float] | None = None


class MixtureSampling:
    """Several sets of images, one after the other in the list, some with a share of their own.

    What the shares leave goes to the first set and those without a share, by their images.

    Parameters
    ----------
    own
        (N,) weights of the images that the model is for.
    further
        For each other set its number of images, all of which have the same chance, and its share
        of the crops at a 0-based step, or None.
    """

    def __init__(
        self,
        own: NDArray[np.float64],
        further: Sequence[tuple[int, Callable[[int], float] | None]],
    ) -> None:
        self._own, self._further = own / own.sum(), tuple(further)

    def probabilities(self, step: int) -> NDArray[np.float64]:
        """(N + M + ...,) at 0-based `step`; they add up to one."""
        shares = [None if share is None else share(step) for _, share in self._further]
        left = max(0.0, 1.0 - sum(share for share in shares if share is not None))
        images = len(self._own) + sum(
            count for (count, _), share in zip(self._further, shares, strict=True) if share is None
        )
        parts = [self._own * (left * len(self._own) / images)]
        for (count, _), share in zip(self._further, shares, strict=True):
            each = left / images if share is None else share / count
            parts.append(np.full(count, each))
        chances = np.concatenate(parts)
        result: NDArray[np.float64] = chances / chances.sum()
        return result


def constant_share(share: float) -> Callable[[int], float]:
    """The same share at every step."""
    # No function within a function, here and below: a share is sent to other processes.
    return partial(_constant, share)


def _constant(share: float, step: int) -> float:
    return share


def linear_share(share: float, steps: int, until: float = 1.0) -> Callable[[int], float]:
    """A share that falls evenly to zero.

    Parameters
    ----------
    share
        At the first step.
    steps
        Of the run.
    until
        Part of the run after which it is zero.
    """
    return partial(_linear, share, max(1.0, steps * until))


def _linear(share: float, end: float, step: int) -> float:
    return share * max(0.0, 1 - step / end)


def image_counts(epochs: int, further: int, most: int = 800) -> list[int]:
    """Further images of each epoch, as the 11th Sartorius place counted them.

    They are many at first and none in the last epochs: ``50 * floor(i ** (1 + 20 / epochs) / 5)``
    with the epochs ``i`` counted from the end, at most `most`.

    Parameters
    ----------
    epochs
        Of the run.
    further
        Images that there are.
    most
        Most images of an epoch.
    """
    power = 1 + 20 / epochs
    counts = [50 * math.floor(i**power / 5) for i in reversed(range(epochs))]
    return [min(count, further, most) for count in counts]


def counted_share(
    epochs: int, steps: int, own: int, further: int, most: int = 800
) -> Callable[[int], float]:
    """The share of the further images when each epoch has as many of them as `image_counts` says.

    Parameters
    ----------
    epochs, steps
        Of the run.
    own, further
        Images of the two sets.
    most
        Most further images of an epoch.
    """
    return partial(_counted, image_counts(epochs, further, most), max(1, steps), own)


def _counted(counts: Sequence[int], steps: int, own: int, step: int) -> float:
    count = counts[min(len(counts) - 1, step * len(counts) // steps)]
    return count / (count + own)


def in_categories_of(
    dataset: CocoDataset, names: list[str], renamed: Mapping[str, str] | None = None
) -> CocoDataset:
    """The images all of whose objects have a name among these categories, in their order.

    Images with other objects are left out: their cells would be learnt as background.

    Parameters
    ----------
    dataset
        Annotated images.
    names
        Categories that are wanted.
    renamed
        What categories of the dataset are called among them, where they have other names.
    """
    called = {name: name for name in dataset.category_names} | dict(renamed or {})
    place = np.array(
        [
            names.index(called[name]) if called[name] in names else -1
            for name in dataset.category_names
        ],
        np.int64,
    )

    def is_known(key: ImageId) -> bool:
        kinds = dataset.instances[key].categories
        return bool((place[kinds] >= 0).all()) if len(kinds) else True

    kept = dataset.select(lambda image: is_known(image.id))
    return replace(
        kept,
        categories=categories_from_names(names),
        instances={
            key: replace(one, categories=place[one.categories]) if len(one) else one
            for key, one in kept.instances.items()
        },
    )
