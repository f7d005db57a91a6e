"""Which objects of all looks are the same one: groups of indices, side by side in one array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Clusters:
    """M groups of objects; an object belongs to one group or to none.

    Attributes
    ----------
    members : (P,) int64
        Indices of objects, the groups one after the other, each in the order of joining.
    sizes : (M,) int64
        How many members each group has, at least 1.
    """

    members: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, cluster: NDArray[np.int64], order: NDArray[np.int64]) -> Clusters:
        """Make groups from the number of each object's group.

        Parameters
        ----------
        cluster : (N,) int64
            From 0 without gaps; -1 for objects in no group.
        order : (K,) int64
            Indices of objects in the order of joining; others are left out.
        """
        inside = order[cluster[order] >= 0]
        members = inside[np.argsort(cluster[inside], kind="stable")]
        return cls(members, np.bincount(cluster[inside]).astype(np.int64))

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Clusters:
        """Return the chosen groups, in the chosen order."""
        groups: NDArray[np.int64] = np.arange(len(self))[chosen]
        sizes = self.sizes[groups]
        start = np.repeat(self.first[groups] - (np.cumsum(sizes) - sizes), sizes)
        return Clusters(self.members[np.arange(len(start)) + start], sizes)

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """Where each group begins in `members`, (M,) int64."""
        result: NDArray[np.int64] = np.cumsum(self.sizes) - self.sizes
        return result

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """Group of each member, (P,) int64."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @property
    def best(self) -> NDArray[np.int64]:
        """First member of each group, (M,) int64."""
        return self.members[self.first]

    def lists(self) -> list[list[int]]:
        """Members group by group, as plain lists."""
        members, first = self.members.tolist(), self.first.tolist()
        return [members[a : a + n] for a, n in zip(first, self.sizes.tolist(), strict=True)]

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum over the members of each group; `values` are (P, ...), one row per member."""
        if not len(self):
            return np.zeros((0, *values.shape[1:]), values.dtype)
        result: NDArray[Any] = np.add.reduceat(values, self.first, axis=0)
        return result

    def mean(
        self, values: NDArray[np.floating[Any]], shares: NDArray[np.floating[Any]]
    ) -> NDArray[np.float64]:
        """Mean over the members of each group, weighted by `shares` (P,); (M, ...) float64.

        Not a number where all shares are zero.
        """
        wide = shares.astype(np.float64).reshape(-1, *[1] * (values.ndim - 1))
        with np.errstate(invalid="ignore"):
            result: NDArray[np.float64] = self.sum(values * wide) / self.sum(wide)
        return result

    def max(self, values: NDArray[Any]) -> NDArray[Any]:
        """Largest value of each group; `values` are (P,), one per member."""
        if not len(self):
            return np.zeros(0, values.dtype)
        result: NDArray[Any] = np.maximum.reduceat(values, self.first)
        return result

    def majority(
        self, labels: NDArray[np.int64], weights: NDArray[np.floating[Any]]
    ) -> NDArray[np.int64]:
        """Label with the largest sum of weights in each group, the smallest of equals, (M,).

        `labels` and `weights` are (P,), one per member.
        """
        kinds = int(labels.max(initial=0)) + 1
        sums = np.bincount(self.owner * kinds + labels, weights, len(self) * kinds)
        result: NDArray[np.int64] = sums.reshape(len(self), kinds).argmax(axis=1)
        return result

    def distinct(self, kind: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Count the different kinds of members in each group.

        Parameters
        ----------
        kind : (P,) int64
            From 0, such as the look of each member.

        Returns
        -------
        count : (M,) int64
            Different kinds per group.
        is_first : (P,) bool
            Whether a member is the first of its kind in its group.
        """
        is_first = np.zeros(len(self.members), np.bool_)
        span = int(kind.max(initial=0)) + 1
        is_first[np.unique(self.owner * span + kind, return_index=True)[1]] = True
        return self.sum(is_first.astype(np.int64)), is_first
