"""Some of many, evenly spaced: pixels of an image, images of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Item = TypeVar("Item")


def thinned(image: NDArray[Any], count: int) -> NDArray[Any]:
    """View of about `count` evenly spaced pixels of (Y, X) or (Y, X, C); all of a smaller image."""
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / count)))
    return image[::step, ::step]


def spread_over(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most so many of the items in their order, spread from the first to the last; None: all."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]
