"""Cell type of an image from how many places of each size propose an object (11th place).

Cells of one type are of one size, so the pyramid level at which a network proposes many objects
tells the type before any object is scored. The numbers are those of the 11th-place system for
whole Sartorius images (704 x 520 pixels) and five levels of strides 2 to 32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class CountRule(BaseModel):
    """How counts of places are read; the default is the published rule.

    Parameters
    ----------
    probability
        Objectness above which a place counts, 0..1.
    most_large
        With more places than this on the two coarsest levels the cells are `large`.
    most_small, most_second
        With fewer places than `most_small` on all levels and fewer than `most_second` on the
        second, the cells are `small`; else `dense`.
    large, small, dense
        Names of the types.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    probability: float = Field(default=0.7, gt=0, lt=1)
    most_large: int = Field(default=10, ge=0)
    most_small: int = Field(default=4500, ge=0)
    most_second: int = Field(default=750, ge=0)
    large: str = "astro"
    small: str = "cort"
    dense: str = "shsy5y"

    @property
    def cell_types(self) -> tuple[str, str, str]:
        """All types that it tells apart."""
        return self.large, self.small, self.dense

    def cell_type(self, counts: Sequence[int] | NDArray[np.int64]) -> str:
        """Type of an image with so many confident places on each level, finest first.

        Raises
        ------
        ValueError
            For fewer than two levels.
        """
        if len(counts) < 2:
            raise ValueError("cell types are told apart by at least two levels of proposals")
        if sum(counts[-2:]) > self.most_large:
            return self.large
        few = sum(counts) < self.most_small and counts[1] < self.most_second
        return self.small if few else self.dense


def count_places(
    logits: Sequence[NDArray[np.float32]], anchors: int, probability: float
) -> list[int]:
    """Places of each level whose best anchor is an object with more than a probability.

    Parameters
    ----------
    logits
        For each level (places * anchors,) objectness, the anchors of a place side by side, as
        `napari_sartorius.nn.proposals.ProposalNetwork` gives them for one image.
    anchors
        Anchors of each place.
    probability
        0 < probability < 1.
    """
    least = np.log(probability / (1 - probability))
    return [int((level.reshape(-1, anchors).max(axis=1) > least).sum()) for level in logits]
