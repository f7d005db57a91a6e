"""Tables and counts of what became of objects; what the outcomes mean is told in `outcomes`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outcome(IntEnum):
    """What became of an object; see the table in `outcomes`."""

    EMPTY = 0
    MATCHED = 1
    MISSED = 2
    EXTRA = 3
    MERGED = 4
    SPLIT = 5


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """One side's N objects, in the order in which they were given.

    Parameters
    ----------
    outcome : (N,) uint8
        Values of `Outcome`.
    partner : (N,) int64
        Index of the match on the other side; of an unmatched object the one with the highest IoU
        (the near miss), whoever that belongs to; -1 if nothing overlaps.
    iou : (N,) float64
        IoU with the partner, 0 to 1.
    covers : (N,) int64
        How many objects of the other side it covers.
    covered_by : (N,) int64
        Index of the object of the other side that covers it, -1 if none does. Of several the one
        that covers most of it, those that cover others, too, first.
    """

    outcome: NDArray[np.uint8]
    partner: NDArray[np.int64]
    iou: NDArray[np.float64]
    covers: NDArray[np.int64]
    covered_by: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.outcome)

    def count(self, outcome: Outcome) -> int:
        """Return how many objects have an outcome."""
        return int(np.count_nonzero(self.outcome == outcome))


@dataclass(frozen=True)
class OutcomeCounts:
    """How many objects of one or several images had which outcome.

    ``truths`` is the sum of ``matched``, ``missed``, ``truths_in_merges`` and ``truths_in_pieces``;
    ``predictions`` that of ``matched``, ``extra``, ``merging_predictions`` and ``pieces``.

    Parameters
    ----------
    truths, predictions : int
        Objects that have pixels.
    matched, missed, extra : int
        Objects with these outcomes.
    merged : int
        Predictions that cover two or more true objects, whether matched with one of them or not.
    split : int
        True objects that cover two or more predictions, whether matched with one of them or not.
    truths_in_merges, truths_in_pieces : int
        True objects with the outcome merged and split.
    merging_predictions, pieces : int
        Predictions with the outcome merged and split.
    """

    truths: int = 0
    predictions: int = 0
    matched: int = 0
    missed: int = 0
    extra: int = 0
    merged: int = 0
    split: int = 0
    truths_in_merges: int = 0
    truths_in_pieces: int = 0
    merging_predictions: int = 0
    pieces: int = 0

    def __add__(self, other: OutcomeCounts) -> OutcomeCounts:
        """Return the counts of both together."""
        return OutcomeCounts(
            *(getattr(self, one.name) + getattr(other, one.name) for one in fields(self))
        )


def total_counts(counts: Iterable[OutcomeCounts]) -> OutcomeCounts:
    """Return the sum over images; all zero without images."""
    return sum(counts, OutcomeCounts())


@dataclass(frozen=True, eq=False)
class ObjectOutcomes:
    """The outcomes of one image at one threshold.

    Parameters
    ----------
    truth, predicted : ObjectTable
        Both sides.
    iou : float
        The threshold.
    """

    truth: ObjectTable
    predicted: ObjectTable
    iou: float

    @property
    def counts(self) -> OutcomeCounts:
        """How many objects had which outcome."""
        truth, predicted = self.truth, self.predicted
        return OutcomeCounts(
            truths=len(truth) - truth.count(Outcome.EMPTY),
            predictions=len(predicted) - predicted.count(Outcome.EMPTY),
            matched=truth.count(Outcome.MATCHED),
            missed=truth.count(Outcome.MISSED),
            extra=predicted.count(Outcome.EXTRA),
            merged=int(np.count_nonzero(predicted.covers > 1)),
            split=int(np.count_nonzero(truth.covers > 1)),
            truths_in_merges=truth.count(Outcome.MERGED),
            truths_in_pieces=truth.count(Outcome.SPLIT),
            merging_predictions=predicted.count(Outcome.MERGED),
            pieces=predicted.count(Outcome.SPLIT),
        )
