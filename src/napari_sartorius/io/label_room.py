"""The type of label values that leaves room for cells which are still to be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROOM = 5_000  # cells drawn by hand


def dtype_with_room(highest: int) -> np.dtype[Any]:
    """Return the smallest unsigned type in which a layer with this highest label can be edited.

    8 bits are never enough: with 250 cells found, only a few more could be painted.
    """
    return np.dtype(np.uint16 if highest + _ROOM <= np.iinfo(np.uint16).max else np.uint32)


def with_room(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels in a type with room for more; those that have it already as they are."""
    wanted = dtype_with_room(int(labels.max(initial=0)))
    if labels.dtype.kind == "u" and labels.dtype.itemsize >= wanted.itemsize:
        return labels
    return labels.astype(wanted)
