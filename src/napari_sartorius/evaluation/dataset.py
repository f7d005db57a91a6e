"""Evaluate a whole prediction against its annotations: every score from one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor
from napari_sartorius.evaluation.calibration import calibration
from napari_sartorius.evaluation.cases import collect_cases
from napari_sartorius.evaluation.coco_ap import MAX_DETECTIONS, coco_average_precision
from napari_sartorius.evaluation.competition import competition_score, mean_score
from napari_sartorius.evaluation.counting import counting_error
from napari_sartorius.evaluation.outcomes import Outcome, object_outcomes
from napari_sartorius.evaluation.results import CategoryResult, EvaluationResult, ImageResult
from napari_sartorius.postprocess.thresholds import majority_category

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.evaluation.calibration import Calibration
    from napari_sartorius.evaluation.cases import Case, Cases
    from napari_sartorius.evaluation.coco_ap import CocoScore
    from napari_sartorius.evaluation.competition import Variant
    from napari_sartorius.io.coco import CocoDataset

_NO_MONITOR = Monitor()


def evaluate_dataset(
    truth: CocoDataset,
    predicted: CocoDataset,
    *,
    split: str | None = None,
    variant: Variant = "corrected",
    max_detections: int = MAX_DETECTIONS,
    monitor: Monitor = _NO_MONITOR,
) -> EvaluationResult:
    """Compare predictions with annotations.

    Parameters
    ----------
    truth : CocoDataset
        Annotated images. Regions with ``iscrowd`` are no objects; AP forgives what is found in
        them, as COCO's tools do.
    predicted : CocoDataset
        Predictions for at least these images, matched by file name (see `pair_images`), with
        categories of the same names.
    split : str, optional
        Take only images of the truth whose record says so, for example ``"val"``.
    variant : str
        How the competition metric counts, see `competition.Variant`.
    max_detections : int
        Highest scoring objects per image and category that COCO AP looks at.
    monitor : Monitor
        Hears of progress; may cancel.

    Raises
    ------
    UserError
        If the split is empty, images have no prediction, sizes or categories do not agree, or a
        score is not a number.
    """
    cases = collect_cases(truth, predicted, split=split)
    return evaluate_cases(cases, variant=variant, max_detections=max_detections, monitor=monitor)


def evaluate_cases(
    cases: Cases,
    *,
    variant: Variant = "corrected",
    max_detections: int = MAX_DETECTIONS,
    monitor: Monitor = _NO_MONITOR,
) -> EvaluationResult:
    """Do the same for images that were collected; see `evaluate_dataset`."""
    names = cases.category_names
    images: list[ImageResult] = []
    for done, case in enumerate(cases):
        monitor.check()
        monitor.progress("comparing", done / (len(cases) + 1))
        images.append(_image(case, names, variant))
    monitor.check()
    pairs = [(Instances.concatenate([c.truth, c.crowds]), c.predicted) for c in cases]
    coco = coco_average_precision(pairs, names, max_detections=max_detections)
    monitor.progress("comparing", 1.0)
    return EvaluationResult(
        competition_score=mean_score([image.competition for image in images]),
        variant=variant,
        average_precision=coco.overall,
        max_detections=max_detections,
        images=images,
        categories=_categories(names, cases, images, coco),
        counting=counting_error(
            [image.true_count for image in images], [image.predicted_count for image in images]
        ),
        calibration=_calibration(cases, images),
    )


def _image(case: Case, names: Sequence[str], variant: Variant) -> ImageResult:
    category = majority_category(case.truth)
    return ImageResult(
        file_name=case.file_name,
        category=None if category is None else names[category],
        true_count=len(case.truth),
        predicted_count=len(case.predicted),
        competition=competition_score(case.truth, case.predicted, variant),
        outcomes=object_outcomes(case.truth, case.predicted),
    )


def _calibration(cases: Cases, images: Sequence[ImageResult]) -> Calibration:
    """Scores against matches; predictions that lost all pixels to better ones count nowhere."""
    scores, right = [np.zeros(0)], [np.zeros(0, np.bool_)]
    for case, image in zip(cases, images, strict=True):
        outcome = image.outcomes.predicted.outcome
        some = outcome != Outcome.EMPTY
        scores.append(case.predicted.scores[some].astype(np.float64))
        right.append(outcome[some] == Outcome.MATCHED)
    return calibration(np.concatenate(scores), np.concatenate(right))


def _categories(
    names: Sequence[str], cases: Cases, images: Sequence[ImageResult], coco: CocoScore
) -> list[CategoryResult]:
    # Per image: true and predicted objects of each category, and how many of them are matched.
    counts = np.zeros((4, len(images), len(names)), np.int64)
    for i, (case, image) in enumerate(zip(cases, images, strict=True)):
        sides = ((case.truth, image.outcomes.truth), (case.predicted, image.outcomes.predicted))
        for side, (objects, table) in enumerate(sides):
            matched = objects.categories[table.outcome == Outcome.MATCHED]
            counts[side, i] = np.bincount(objects.categories, minlength=len(names))
            counts[side + 2, i] = np.bincount(matched, minlength=len(names))
    results = []
    for i, name in enumerate(names):
        true, found, true_matched, found_matched = counts[:, :, i]
        if not true.any() and not found.any():
            continue
        scores = [image.competition for image in images if image.category == name]
        shown = (true > 0) | (found > 0)
        results.append(
            CategoryResult(
                name=name,
                images=len(scores),
                true_count=int(true.sum()),
                predicted_count=int(found.sum()),
                mean=mean_score(scores),
                contribution=float(sum(score.score for score in scores) / len(images)),
                average_precision=coco.per_category.get(name),
                true_matched=int(true_matched.sum()),
                predicted_matched=int(found_matched.sum()),
                counting=counting_error(true[shown], found[shown]),
            )
        )
    return results
