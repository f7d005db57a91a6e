"""What a network found in one tile, as numpy columns, before masks are pasted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Found:
    """Objects of one tile in pixels of the network's input, on the host, as numpy.

    Attributes
    ----------
    boxes : (N, 4) float32
        xyxy, pixel edges of the tile.
    scores : (N,) float32
        0..1.
    labels : (N,) int64
        0-based categories.
    mask_probs : (N, m, m) float32
        The mask inside its box, 0..1.
    capped : bool
        Whether a top-k limit may have dropped objects.
    columns : dict of str to (N,) float32
        What else the network knows of every object.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    mask_probs: NDArray[np.float32]
    capped: bool = False
    columns: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Found:
        """Return the chosen objects."""
        return Found(
            self.boxes[chosen],
            self.scores[chosen],
            self.labels[chosen],
            self.mask_probs[chosen],
            self.capped,
            {name: column[chosen] for name, column in self.columns.items()},
        )

    def relabelled(self, categories: NDArray[np.int64]) -> Found:
        """The same objects in other categories; `categories` (K,) has the new one of each."""
        return replace(self, labels=categories[self.labels])
