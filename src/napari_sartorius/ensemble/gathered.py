"""The objects of all looks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.ensemble.looks import Look
from napari_sartorius.ensemble.member_masks import pairwise_agreement

if TYPE_CHECKING:
    from napari_sartorius.ensemble.clusters import Clusters
    from napari_sartorius.ensemble.looks import Canvas


@dataclass(frozen=True, eq=False)
class Gathered:
    """N objects of L looks, look by look.

    Attributes
    ----------
    looks
        Where they come from; masks stay there, because there are many.
    boxes : (N, 4) float32
        xyxy, pixels.
    scores : (N,) float32
        0..1.
    labels : (N,) int64
        Categories.
    look, model : (N,) int64
        Which look and which model found each object.
    weights : (L,) float64
        How much each look counts.
    """

    looks: Sequence[Look]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    look: NDArray[np.int64]
    model: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, looks: Sequence[Look]) -> Gathered:
        """Put the objects of all looks side by side.

        Raises
        ------
        UserError
            If a model gave scores or boxes that are not numbers.
        ValueError
            If a look's weight is not above 0.
        """
        for look in looks:
            _check(look)
        counts = [len(look.found) for look in looks]
        found = [look.found for look in looks]
        return cls(
            looks,
            np.concatenate([np.zeros((0, 4), np.float32), *(f.boxes for f in found)]),
            np.concatenate([np.zeros(0, np.float32), *(f.scores for f in found)]),
            np.concatenate([np.zeros(0, np.int64), *(f.labels for f in found)]),
            np.repeat(np.arange(len(looks)), counts),
            np.repeat(np.array([look.model for look in looks], np.int64), counts),
            np.array([look.weight for look in looks], np.float64),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def by_look(
        self, members: NDArray[np.int64]
    ) -> list[tuple[Look, NDArray[np.int64], NDArray[np.int64]]]:
        """Split objects by look.

        Returns
        -------
        list of (look, places, own)
            Looks that any of `members` come from; which of `members` these are, (K,), and their
            indices in the look, (K,).
        """
        begin = np.cumsum([0, *(len(look.found) for look in self.looks)])
        of = self.look[members]
        by_look = np.argsort(of, kind="stable")
        ends = np.searchsorted(of[by_look], np.arange(len(self.looks)), side="right")
        parts = np.split(by_look, ends[:-1]) if len(self.looks) else []
        return [
            (look, places, members[places] - start)
            for look, places, start in zip(self.looks, parts, begin.tolist(), strict=False)
            if len(places)
        ]

    def draw(self, members: NDArray[np.int64], canvas: Canvas) -> CropMasks:
        """Masks of objects as their own looks see them, in the order of `members`."""
        parts = self.by_look(members)
        if not parts:
            return CropMasks.empty(canvas.image_size)
        drawn = CropMasks.concatenate([canvas.draw(look.found[own]) for look, _, own in parts])
        return drawn[np.argsort(np.concatenate([places for _, places, _ in parts]))]

    def mask_agreement(self, clusters: Clusters, canvas: Canvas) -> NDArray[np.float32]:
        """Mean IoU over all pairs of the members' masks, (M,); 1 for single members."""
        result = np.ones(len(clusters), np.float32)
        several = clusters.sizes > 1
        some = clusters[several]
        result[several] = pairwise_agreement(self.draw(some.members, canvas), some)
        return result

    def majority(self, clusters: Clusters) -> NDArray[np.int64]:
        """Category of each cluster: the one with the largest sum of weighted scores, (M,)."""
        of = clusters.members
        return clusters.majority(self.labels[of], self.scores[of] * self.weights[self.look[of]])

    def shares(self, clusters: Clusters) -> NDArray[np.float32]:
        """What each member counts in the mean of its cluster, by weighted score, (P,)."""
        of = clusters.members
        weighted = self.scores[of] * self.weights[self.look[of]]
        total = clusters.sum(weighted)[clusters.owner]
        even = 1 / np.repeat(clusters.sizes, clusters.sizes)
        share = np.where(total > 0, weighted / np.where(total > 0, total, 1), even)
        return np.asarray(share, dtype=np.float32)

    def columns(
        self, clusters: Clusters, share: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float32]]:
        """Means of what all networks know of every object, weighted by `share` (P,)."""
        found = [look.found for look in self.looks if len(look.found)]
        found = found or [look.found for look in self.looks]
        names = set.intersection(*(set(f.columns) for f in found)) if found else set()
        total = np.maximum(clusters.sum(share), np.finfo(np.float64).tiny)
        result = {}
        for name in sorted(names):
            values = np.concatenate([f.columns[name] for f in found])[clusters.members]
            result[name] = (clusters.sum(values * share) / total).astype(np.float32)
        return result


def _check(look: Look) -> None:
    if not (look.weight > 0 and np.isfinite(look.weight)):
        raise ValueError(f"expected weights of looks above 0, got {look.weight}")
    if not (np.isfinite(look.found.scores).all() and np.isfinite(look.found.boxes).all()):
        raise UserError(
            f"Model {look.model + 1} of the ensemble gave scores or boxes that are not numbers; "
            "check its weights and its normalisation, or leave it out."
        )
