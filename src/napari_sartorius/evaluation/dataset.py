"""Evaluate a whole prediction against its annotations: every score from one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.evaluation.coco_ap import MAX_DETECTIONS, coco_average_precision
from napari_sartorius.evaluation.competition import competition_score, mean_score
from napari_sartorius.evaluation.pairing import pair_images, to_true_categories
from napari_sartorius.evaluation.report import CategoryResult, EvaluationResult, ImageResult
from napari_sartorius.postprocess.thresholds import majority_category

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.instances import Instances
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
        Annotated images.
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
        If the split is empty, images have no prediction, or sizes or categories do not agree.
    """
    if split is not None:
        chosen = truth.split(split)
        if not chosen.images:
            known = sorted({str(i.extra["split"]) for i in truth.images if "split" in i.extra})
            raise UserError(
                f"No image of the truth belongs to the split {split!r}: "
                + (f"choose from {', '.join(known)}." if known else "it names no splits at all.")
            )
        truth = chosen
    names = truth.category_names
    pairs = pair_images(truth, predicted)
    cases: list[tuple[Instances, Instances]] = []
    images: list[ImageResult] = []
    for done, (image, match) in enumerate(pairs):
        monitor.check()
        monitor.progress("comparing", done / (len(pairs) + 1))
        true_objects = truth.instances[image.id]
        objects = to_true_categories(predicted.instances[match.id], predicted.category_names, names)
        cases.append((true_objects, objects))
        category = majority_category(true_objects)
        images.append(
            ImageResult(
                file_name=image.file_name,
                category=None if category is None else names[category],
                true_count=len(true_objects),
                predicted_count=len(objects),
                competition=competition_score(true_objects, objects, variant),
            )
        )
    monitor.check()
    coco = coco_average_precision(cases, names, max_detections=max_detections)
    monitor.progress("comparing", 1.0)
    return EvaluationResult(
        competition_score=mean_score([image.competition for image in images]),
        variant=variant,
        average_precision=coco.overall,
        max_detections=max_detections,
        images=images,
        categories=_categories(names, cases, images, coco),
    )


def _categories(
    names: Sequence[str],
    cases: Sequence[tuple[Instances, Instances]],
    images: Sequence[ImageResult],
    coco: CocoScore,
) -> list[CategoryResult]:
    counts = np.zeros((2, len(names)), np.int64)
    for case in cases:
        for side, objects in enumerate(case):
            counts[side] += np.bincount(objects.categories, minlength=len(names))
    results = []
    for i, name in enumerate(names):
        if not counts[:, i].any():
            continue
        scores = [image.competition for image in images if image.category == name]
        results.append(
            CategoryResult(
                name=name,
                images=len(scores),
                true_count=int(counts[0, i]),
                predicted_count=int(counts[1, i]),
                mean=mean_score(scores),
                contribution=float(sum(score.score for score in scores) / len(images)),
                average_precision=coco.per_category.get(name),
            )
        )
    return results
