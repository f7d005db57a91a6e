"""Outcomes as people read them: names, and a sentence about each object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.core.wording import plural, some_of
from napari_sartorius.evaluation.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.evaluation.outcomes import OutcomeCounts
    from napari_sartorius.ui.evaluate.compared import Compared, Rows

NAMES = {
    Outcome.MISSED: "missed",
    Outcome.EXTRA: "extra",
    Outcome.MERGED: "merged",
    Outcome.SPLIT: "split",
    Outcome.MATCHED: "matched",
}

HINTS = {
    Outcome.MISSED: "True cells without a found cell of their own.",
    Outcome.EXTRA: "Found cells where no true cell is, or that fit none well enough.",
    Outcome.MERGED: "Found cells that cover more than half of two or more true cells each.",
    Outcome.SPLIT: "True cells that cover more than half of two or more found cells each.",
    Outcome.MATCHED: "Found cells that are a true cell each: the overlap is above the slider.",
}

_MOST_NAMED = 6


def sentence(compared: Compared, rows: Rows, row: int) -> str:
    """Return what a row of the list is."""
    outcome = Outcome(rows.outcome[row])
    itself = f"{_side(bool(rows.of_truth[row]))} {rows.label[row]}"
    other = f"{_side(not rows.of_truth[row])} {rows.partner[row]}"
    iou = f"IoU {rows.iou[row]:.2f}"
    touches = rows.iou[row] > 0
    if outcome == Outcome.MATCHED:
        text = f"{itself} is {other}, {iou}"
    elif outcome == Outcome.MERGED:
        text = f"{itself} covers truth {_listed(compared.covered(rows, row))}"
    elif outcome == Outcome.SPLIT:
        text = f"{itself} covers found {_listed(compared.covered(rows, row))}"
    elif touches:
        text = f"{itself}, best {iou} with {other}"
    else:
        text = f"{itself}, nothing {'found' if rows.of_truth[row] else 'true'} touches it"
    return f"{NAMES[outcome].capitalize()}: {text}."


def figures(counts: OutcomeCounts) -> str:
    """Return how many objects there are, in a line."""
    truths = plural(counts.truths, "true cell")
    return f"{truths}, {counts.predictions:,} found, {counts.matched:,} matched."


def scores(compared: Compared) -> str:
    """Return the figures that do not depend on the slider."""
    text = f"Competition mAP {compared.competition_score:.3f}"
    known = compared.average_precision
    if known is not None:
        text += f"\nCOCO AP {known.ap:.3f} · AP50 {known.ap50:.3f} · AP75 {known.ap75:.3f}"
    return text


def left_out(compared: Compared) -> str:
    """Return what was not compared, or nothing."""
    if not compared.left_out:
        return ""
    return f"{plural(compared.left_out, 'slice')} without true cells left out."


def _side(of_truth: bool) -> str:
    return "truth" if of_truth else "found"


def _listed(numbers: Sequence[int]) -> str:
    if len(numbers) > _MOST_NAMED:
        return some_of(numbers, _MOST_NAMED)
    named = [str(one) for one in numbers]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
