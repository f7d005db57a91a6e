"""Everything that a comparison found, and its rows at one threshold. No widgets in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError
from napari_sartorius.evaluation.coco_ap import AveragePrecision
from napari_sartorius.evaluation.competition import THRESHOLDS
from napari_sartorius.evaluation.outcomes import (
    Comparison,
    ObjectOutcomes,
    Outcome,
    OutcomeCounts,
    compare_objects,
    total_counts,
)
from napari_sartorius.evaluation.sparse_ap import sparse_average_precision
from napari_sartorius.ui.evaluate.sides import Objects, Plane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.ui.evaluate.sides import FileSide, LayerSide

MOST_ROWS = (1 << 16) - 2
"""Label values of the picture of errors, of which napari can colour each as we want."""

ORDER = (Outcome.MISSED, Outcome.EXTRA, Outcome.MERGED, Outcome.SPLIT, Outcome.MATCHED)
"""In which they are shown."""


@dataclass(frozen=True, eq=False)
class ComparedPlane:
    """One slice: where it lies in the layer of found cells, both sides, and their overlaps."""

    place: Plane
    truth: Objects
    found: Objects
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class Rows:
    """R things to look at, in the order in which they are listed.

    Parameters
    ----------
    outcome : (R,) uint8
        One row for every missed and every extra object, for every found object that covers two or
        more true ones (merged), every true one that covers two or more found ones (split), and
        every match.
    of_truth : (R,) bool
        Whether the object is a true one; else it is a found one.
    plane : (R,) int64
        Position in the list of slices.
    item : (R,) int64
        Which object of that slice and side.
    label, partner : (R,) int64
        The number by which it is known, and that of the object with the best overlap; 0 for none.
    iou : (R,) float64
        With the partner, 0 to 1.
    area : (R,) int64
        Pixels.
    """

    outcome: NDArray[np.uint8]
    of_truth: NDArray[np.bool_]
    plane: NDArray[np.int64]
    item: NDArray[np.int64]
    label: NDArray[np.int64]
    partner: NDArray[np.int64]
    iou: NDArray[np.float64]
    area: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.outcome)


@dataclass(frozen=True)
class SliceFigures:
    """How one slice did: its place, counts and precision (0 to 1) at a threshold, and its mAP."""

    place: Plane
    truths: int
    predictions: int
    matched: int
    precision: float
    competition_score: float


@dataclass(frozen=True, eq=False)
class Compared:
    """A comparison.

    Parameters
    ----------
    planes : list of ComparedPlane
        At least one.
    left_out : int
        Slices that hold no true cell, which were not compared.
    average_precision : AveragePrecision or None
        COCO's, all cells taken as one category; None where the found cells have no scores.
    """

    planes: list[ComparedPlane]
    left_out: int
    average_precision: AveragePrecision | None

    def precision(self, ious: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return TP / (TP + FP + FN) at each threshold, the mean over the slices."""
        values = [plane.comparison.precision(ious) for plane in self.planes]
        result: NDArray[np.float64] = np.mean(values, axis=0)
        return result

    @property
    def competition_score(self) -> float:
        """Mean precision at IoU 0.50 to 0.95."""
        return float(self.precision(THRESHOLDS).mean())

    def at(self, iou: float) -> tuple[OutcomeCounts, Rows]:
        """Return how many objects had which outcome at a threshold, and the rows to look at."""
        results = [plane.comparison.outcomes(iou) for plane in self.planes]
        parts = [
            _rows_of_plane(n, plane, result)
            for n, (plane, result) in enumerate(zip(self.planes, results, strict=True))
        ]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.argsort(_place_in_order(columns[0]), kind="stable")
        rows = Rows(*(column[order] for column in columns))
        return total_counts(result.counts for result in results), rows

    def slices(self, iou: float) -> list[SliceFigures]:
        """Return the figures of each slice at a threshold."""
        result = []
        for plane in self.planes:
            comparison = plane.comparison
            truths, predictions = len(plane.truth.ids), len(plane.found.ids)
            matched = int(np.count_nonzero(comparison.matches.iou > iou))
            precision = float(comparison.precision(np.array([iou]))[0])
            score = float(comparison.precision(THRESHOLDS).mean())
            result.append(SliceFigures(plane.place, truths, predictions, matched, precision, score))
        return result

    def masks_of(self, rows: Rows, row: int) -> CropMasks:
        """Return what to outline: the true cells in a merge, the pieces of a split, else itself."""
        plane, item = self.planes[rows.plane[row]], int(rows.item[row])
        if rows.outcome[row] == Outcome.MERGED:
            return plane.truth.masks[plane.comparison.truths_covered(item)]
        if rows.outcome[row] == Outcome.SPLIT:
            return plane.found.masks[plane.comparison.predictions_covered(item)]
        side = plane.truth if rows.of_truth[row] else plane.found
        return side.masks[[item]]

    def covered(self, rows: Rows, row: int) -> list[int]:
        """Return the numbers of the objects that a merged or split one covers."""
        plane, item = self.planes[rows.plane[row]], int(rows.item[row])
        if rows.of_truth[row]:
            return plane.found.ids[plane.comparison.predictions_covered(item)].tolist()
        return plane.truth.ids[plane.comparison.truths_covered(item)].tolist()


def compare(
    found: LayerSide,
    truth: LayerSide | FileSide,
    places: Sequence[tuple[Plane, Plane]],
    tell: Callable[[str], None],
) -> Compared:
    """Compare slice by slice; may run in any thread.

    Parameters
    ----------
    found, truth : LayerSide or FileSide
        The sides.
    places : sequence of (Plane, Plane)
        Slices of either that belong together.
    tell : callable
        Hears of the progress.

    Raises
    ------
    UserError
        If a side holds no objects, or there are too many.
    """
    planes: list[ComparedPlane] = []
    scores: list[NDArray[np.float32] | None] = []
    found_any = 0
    for n, (place, true_place) in enumerate(places, start=1):
        tell(f"Comparing slice {n} of {len(places)} …" if len(places) > 1 else "Comparing …")
        true_objects = truth.objects(true_place)
        if not len(true_objects.ids):
            continue
        objects = found.objects(place)
        found_any += len(objects.ids)
        # Labels do not overlap; a file's true objects may, and all of their pixels count.
        comparison = compare_objects(true_objects.masks, objects.masks, remove_overlap=False)
        planes.append(ComparedPlane(place, true_objects, objects, comparison))
        scores.append(found.scores(objects.ids))
    where = "in this slice" if len(places) == 1 and places[0][0] else "at all"
    if not planes:
        raise UserError(f"{truth.name} holds no cells {where}: there is nothing to compare with.")
    if not found_any:
        raise UserError(f"{found.name} holds no cells {where}: segment the image first.")
    if sum(len(plane.truth.ids) + len(plane.found.ids) for plane in planes) > MOST_ROWS:
        raise UserError(f"There are more than {MOST_ROWS:,} cells: compare the shown slice only.")
    return Compared(planes, len(places) - len(planes), _average_precision(planes, scores))


def _average_precision(
    planes: Sequence[ComparedPlane], scores: Sequence[NDArray[np.float32] | None]
) -> AveragePrecision | None:
    known = [one for one in scores if one is not None]
    if len(known) < len(planes):
        return None
    comparisons = [plane.comparison for plane in planes]
    return sparse_average_precision(list(zip(comparisons, known, strict=True)))


def _place_in_order(outcome: NDArray[np.uint8]) -> NDArray[np.int64]:
    places = np.zeros(max(Outcome) + 1, np.int64)
    places[list(ORDER)] = np.arange(len(ORDER))
    result: NDArray[np.int64] = places[outcome]
    return result


def _rows_of_plane(
    n: int, plane: ComparedPlane, result: ObjectOutcomes
) -> list[NDArray[np.generic]]:
    """Return the columns of `Rows` for one slice."""
    chosen = (
        (Outcome.MISSED, True, result.truth.outcome == Outcome.MISSED),
        (Outcome.EXTRA, False, result.predicted.outcome == Outcome.EXTRA),
        (Outcome.MERGED, False, result.predicted.covers > 1),
        (Outcome.SPLIT, True, result.truth.covers > 1),
        (Outcome.MATCHED, False, result.predicted.outcome == Outcome.MATCHED),
    )
    parts: list[list[NDArray[np.generic]]] = []
    for outcome, of_truth, mask in chosen:
        item = np.flatnonzero(mask)
        own, other = (plane.truth, plane.found) if of_truth else (plane.found, plane.truth)
        table = result.truth if of_truth else result.predicted
        areas = plane.comparison.truth_area if of_truth else plane.comparison.predicted_area
        partner = table.partner[item]
        numbers = np.zeros(len(item), np.int64)
        numbers[partner >= 0] = other.ids[partner[partner >= 0]]
        parts.append(
            [
                np.full(len(item), outcome, np.uint8),
                np.full(len(item), of_truth, np.bool_),
                np.full(len(item), n, np.int64),
                item,
                own.ids[item],
                numbers,
                table.iou[item],
                areas[item],
            ]
        )
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
