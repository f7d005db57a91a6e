"""Truth and prediction of the same images, side by side and in the same categories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.evaluation.pairing import pair_images, to_true_categories
from napari_sartorius.io.image_names import plane_of, title_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sartorius.io.coco import CocoDataset


@dataclass(frozen=True, eq=False)
class Case:
    """One image.

    Parameters
    ----------
    file_name : str
        Its name in the truth; of a stack with the plane, as in ``stack.tif, plane 3``.
    truth, predicted : Instances
        Objects; categories are positions in `Cases.category_names`.
    crowds : Instances
        Annotated regions with ``iscrowd``: no cells, but AP forgives what is found in them.
    places : tuple of Path
        Where the image's file may be, the likeliest first.
    plane : tuple of int
        Position along the axes of the file's stack; () for a single picture.
    """

    file_name: str
    truth: Instances
    predicted: Instances
    crowds: Instances
    places: tuple[Path, ...] = ()
    plane: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Cases:
    """All images that are compared.

    Parameters
    ----------
    cases : list of Case
        In the order of the truth.
    category_names : list of str
        The truth's.
    left_out : int
        Images of the truth that have no prediction.
    """

    cases: list[Case]
    category_names: list[str]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)


def collect_cases(
    truth: CocoDataset,
    predicted: CocoDataset,
    *,
    split: str | None = None,
    partial: bool = False,
) -> Cases:
    """Find the prediction of every annotated image.

    Parameters
    ----------
    truth : CocoDataset
        Annotated images.
    predicted : CocoDataset
        Predictions for at least these images, matched by file name and plane (see `pair_images`),
        with categories of the same names.
    split : str, optional
        Take only images of the truth whose record says so, for example ``"val"``.
    partial : bool
        Leave out annotated images that have no prediction, instead of refusing.

    Raises
    ------
    UserError
        If the split is empty, images have no prediction, sizes or categories do not agree, or a
        score is not a number.
    """
    truth = _of_split(truth, split)
    names = truth.category_names
    cases = []
    for image, match in pair_images(truth, predicted, partial=partial):
        objects = to_true_categories(predicted.instances[match.id], predicted.category_names, names)
        name = title_of(image)
        _check_scores(objects, name)
        places = (truth.image_path(image), predicted.image_path(match))
        cells, crowds = apart(truth.instances[image.id])
        plane = plane_of(image) or plane_of(match)
        cases.append(Case(name, cells, objects, crowds, places, plane))
    return Cases(cases, names, len(truth) - len(cases))


def _of_split(truth: CocoDataset, split: str | None) -> CocoDataset:
    if split is None:
        return truth
    chosen = truth.split(split)
    if not chosen.images:
        known = sorted({str(i.extra["split"]) for i in truth.images if "split" in i.extra})
        raise UserError(
            f"No image of the truth belongs to the split {split!r}: "
            + (f"choose from {', '.join(known)}." if known else "it names no splits at all.")
        )
    return chosen


def apart(annotated: Instances) -> tuple[Instances, Instances]:
    """Return single objects and crowds."""
    is_crowd = annotated.columns.get("iscrowd", np.zeros(len(annotated), np.int64)) > 0
    return annotated[~is_crowd], annotated[is_crowd]


def _check_scores(objects: Instances, name: str) -> None:
    wrong = np.flatnonzero(~((objects.scores >= 0) & (objects.scores <= 1)))
    if wrong.size:
        raise UserError(
            f"Object {wrong[0] + 1} of the prediction of {name} has the score "
            f"{objects.scores[wrong[0]]:g}, expected a number from 0 to 1: repeat the prediction "
            "or correct the file."
        )
