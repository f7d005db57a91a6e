"""Steps of a label layer's undo history, as the pixels that they changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Plane = tuple[int, ...]
"""Position along the axes in front of (Y, X)."""

Direction = Literal["edit", "undo", "redo"]


@dataclass(frozen=True)
class PlaneChange:
    """What one step changed in one plane: labels before and after at (y, x), all (N,)."""

    plane: Plane
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    before: NDArray[Any]
    after: NDArray[Any]

    def turned_back(self) -> PlaneChange:
        """Return the change that undoes this one."""
        return PlaneChange(self.plane, self.y, self.x, self.after, self.before)


@dataclass
class PixelStep:
    """One step of the undo history.

    Parameters
    ----------
    changes : list of PlaneChange
        What it changed; empty when that is not known.
    memory : dict
        For whoever follows the steps, to keep what undoing this one needs.
    """

    changes: list[PlaneChange]
    memory: dict[Any, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many pixels it changed."""
        return sum(len(one.y) for one in self.changes)

    @property
    def is_known(self) -> bool:
        """Whether the changes are known; not so after painting in three dimensions at once."""
        return bool(self.changes)
