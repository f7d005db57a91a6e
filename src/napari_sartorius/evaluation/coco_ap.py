"""COCO average precision of masks, with a limit on detections that crowded images need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances

MAX_DETECTIONS = 2000


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision, 0 to 1; not-a-number where there is no true object.

    Parameters
    ----------
    ap : float
        Mean over the IoU thresholds 0.50 to 0.95.
    ap50, ap75 : float
        At the threshold 0.50 and 0.75.
    """

    ap: float
    ap50: float
    ap75: float


@dataclass(frozen=True)
class CocoScore:
    """Average precision over all categories (mean of them) and of each, by its name."""

    overall: AveragePrecision
    per_category: dict[str, AveragePrecision]


def coco_average_precision(
    cases: Sequence[tuple[Instances, Instances]],
    category_names: Sequence[str],
    *,
    max_detections: int = MAX_DETECTIONS,
) -> CocoScore:
    """Compute COCO mask AP with faster-coco-eval, which equals pycocotools.

    Parameters
    ----------
    cases : sequence of (truth, predicted)
        One pair per image. A column ``iscrowd`` of the truth is honoured.
    category_names : sequence of str
        Names by category index.
    max_detections : int
        Highest scoring objects per image and category that count. LIVECell's images hold more
        than the 100 that COCO's own tools look at.

    Returns
    -------
    CocoScore
    """
    # Imported here: it brings OpenCV with it, which only this function needs.
    from faster_coco_eval import COCO, COCOeval_faster

    categories = [{"id": i + 1, "name": name} for i, name in enumerate(category_names)]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, (truth, predicted) in enumerate(cases, start=1):
        height, width = truth.image_size
        images.append({"id": number, "height": height, "width": width})
        annotations += _records(truth, number, len(annotations))
        results += _records(predicted, number, len(results))
    if not annotations:
        nothing = AveragePrecision(*[float("nan")] * 3)
        return CocoScore(nothing, dict.fromkeys(category_names, nothing))

    true_side, predicted_side = (
        COCO({"images": images, "categories": categories, "annotations": records})
        for records in (annotations, results)
    )
    evaluation = COCOeval_faster(true_side, predicted_side, "segm")
    evaluation.params.maxDets = [1, 10, max_detections]
    evaluation.evaluate()
    evaluation.accumulate()
    # (IoU thresholds, recall levels, categories, sizes, limits); -1 where there is no truth.
    precision: NDArray[np.float64] = np.asarray(evaluation.eval["precision"])[..., 0, -1]
    present = sorted(
        int(i) - 1 for i in np.unique([record["category_id"] for record in annotations])
    )
    return CocoScore(
        _summary(precision),
        {category_names[i]: _summary(precision[:, :, [i]]) for i in present},
    )


def _summary(precision: NDArray[np.float64]) -> AveragePrecision:
    def mean(values: NDArray[np.float64]) -> float:
        known = values[values > -1]
        return float(known.mean()) if known.size else float("nan")

    return AveragePrecision(mean(precision), mean(precision[0]), mean(precision[5]))


def _records(objects: Instances, image: int, before: int) -> list[dict[str, Any]]:
    """Return the objects as COCO annotations with ids from `before` + 1."""
    boxes = objects.masks.bounding_boxes()
    boxes[:, 2:] -= boxes[:, :2]
    crowd = objects.columns.get("iscrowd", np.zeros(len(objects), np.int64))
    return [
        {
            "id": before + i + 1,
            "image_id": image,
            "category_id": category + 1,
            "segmentation": code,
            "area": area,
            "bbox": box,
            "iscrowd": int(is_crowd),
            "score": score,
        }
        for i, (category, code, area, box, is_crowd, score) in enumerate(
            zip(
                objects.categories.tolist(),
                objects.masks.to_rle(),
                objects.masks.area().tolist(),
                boxes.tolist(),
                crowd.tolist(),
                objects.scores.tolist(),
                strict=True,
            )
        )
    ]
