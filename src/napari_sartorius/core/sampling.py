"""Evenly spaced pixels of a large image, to judge the whole of it quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def thinned(image: NDArray[Any], count: int) -> NDArray[Any]:
    """View of about `count` evenly spaced pixels of (Y, X) or (Y, X, C); all of a smaller image."""
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / count)))
    return image[::step, ::step]
