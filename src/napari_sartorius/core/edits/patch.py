"""The one form in which a correction travels from the tool that thought of it to the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Patch:
    """New labels for some pixels of one plane; no pixel is listed twice.

    Parameters
    ----------
    y, x : (N,) int64
        Where, in the plane's pixels.
    values : (N,) int64
        The new labels; 0 is background.
    """

    y: NDArray[np.int64]
    x: NDArray[np.int64]
    values: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def empty(cls) -> Patch:
        """Return a patch that changes nothing."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, nothing)

    @classmethod
    def where(
        cls, mask: NDArray[np.bool_], corner: tuple[int, int], value: int | NDArray[Any]
    ) -> Patch:
        """Return the patch that sets the pixels of a small mask.

        Parameters
        ----------
        mask : (h, w) bool
            Which pixels.
        corner : (y, x)
            Where the mask's first pixel lies in the plane.
        value : int or (h, w) int
            One label for all, or an image of labels to take them from.
        """
        y, x = np.nonzero(mask)
        values = (
            np.full(len(y), value, np.int64) if np.ndim(value) == 0 else np.asarray(value)[y, x]
        )
        return cls(y + corner[0], x + corner[1], values.astype(np.int64))

    @classmethod
    def join(cls, parts: Sequence[Patch]) -> Patch:
        """Return all changes of several patches of a plane; the first one wins where they meet."""
        if not parts:
            return cls.empty()
        y, x, values = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("y", "x", "values")
        )
        if len(parts) > 1 and len(y):
            pitch = int(x.max()) + 1
            _, first = np.unique(y * pitch + x, return_index=True)
            if len(first) < len(y):
                first.sort()
                y, x, values = y[first], x[first], values[first]
        return cls(y, x, values)

    def effective(self, plane: NDArray[Any]) -> Patch:
        """Return only the changes that are not in `plane` (H, W) already."""
        changed = plane[self.y, self.x] != self.values
        return Patch(self.y[changed], self.x[changed], self.values[changed])

    def apply(self, plane: NDArray[Any]) -> None:
        """Write the changes into `plane` (H, W)."""
        plane[self.y, self.x] = self.values
