"""COCO average precision of masks, with a limit on detections that crowded images need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.instances import Instances

MAX_DETECTIONS = 2000
RECALL_LIMITS = (100, 500)
"""Detections per image and category at which recall is told besides the limit itself."""
AREAS: dict[str, tuple[float, float]] = {
    "all": (0, 1e10),
    "small": (0, 18**2),
    "medium": (18**2, 31**2),
    "large": (31**2, 1e10),
}
"""Pixels of small, medium and large cells as LIVECell's evaluation has them; COCO's own sizes,
32 and 96 squared, would call nearly every cell small. An area on a border belongs to both."""
RECALL_LEVELS: NDArray[np.float64] = np.linspace(0, 1, 101)
_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """Average precision and recall, 0 to 1; not-a-number where there is no true object.

    Parameters
    ----------
    ap : float
        Mean over the IoU thresholds 0.50 to 0.95.
    ap50, ap75 : float
        At the threshold 0.50 and 0.75.
    ap_small, ap_medium, ap_large : float
        Mean over the thresholds for true objects of these `AREAS`.
    recall : dict of int to float
        By limit on detections, the mean over the thresholds of the highest recall (AR).
    curve : (10, 101) float64
        Precision at each threshold and each of `RECALL_LEVELS`, 0 where recall is not reached.
    """

    ap: float = _NAN
    ap50: float = _NAN
    ap75: float = _NAN
    ap_small: float = _NAN
    ap_medium: float = _NAN
    ap_large: float = _NAN
    recall: dict[int, float] = field(default_factory=dict)
    curve: NDArray[np.float64] = field(default_factory=lambda: np.full((10, 101), _NAN))

    def to_dict(self) -> dict[str, float]:
        """Return the figures by their usual names: ap, ap50, ap75, ap_small, ..., ar100, ..."""
        return {
            "ap": self.ap,
            "ap50": self.ap50,
            "ap75": self.ap75,
            "ap_small": self.ap_small,
            "ap_medium": self.ap_medium,
            "ap_large": self.ap_large,
        } | {f"ar{limit}": value for limit, value in self.recall.items()}


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
        Highest scoring objects per image and category that count, at least 1. LIVECell's images
        hold more than the 100 that COCO's own tools look at.

    Returns
    -------
    CocoScore

    Raises
    ------
    UserError
        If `max_detections` is below 1.
    """
    if max_detections < 1:
        raise UserError(
            f"The limit on detections is {max_detections}, expected 1 or more, such as "
            f"{MAX_DETECTIONS}."
        )
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
        nothing = AveragePrecision()
        return CocoScore(nothing, dict.fromkeys(category_names, nothing))

    true_side, predicted_side = (
        COCO({"images": images, "categories": categories, "annotations": records})
        for records in (annotations, results)
    )
    evaluation = COCOeval_faster(true_side, predicted_side, "segm")
    limits = [limit for limit in RECALL_LIMITS if limit < max_detections] + [max_detections]
    evaluation.params.maxDets = limits
    evaluation.params.areaRng = [list(area) for area in AREAS.values()]
    evaluation.params.areaRngLbl = list(AREAS)
    evaluation.evaluate()
    evaluation.accumulate()
    # (IoU thresholds, recall levels, categories, sizes, limits) and without recall levels;
    # -1 where there is no truth.
    precision = np.asarray(evaluation.eval["precision"], np.float64)[..., -1]
    recall = np.asarray(evaluation.eval["recall"], np.float64)[:, :, 0]
    present = sorted({record["category_id"] - 1 for record in annotations})
    return CocoScore(
        _summary(precision, recall, limits),
        {
            category_names[i]: _summary(precision[:, :, [i]], recall[:, [i]], limits)
            for i in present
        },
    )


def _summary(
    precision: NDArray[np.float64], recall: NDArray[np.float64], limits: Sequence[int]
) -> AveragePrecision:
    """Summarise (thresholds, levels, categories, sizes) and (thresholds, categories, limits)."""

    def mean(values: NDArray[np.float64]) -> float:
        known = values[values > -1]
        return float(known.mean()) if known.size else _NAN

    known = precision[0, 0, :, 0] > -1
    small, medium, large = (mean(precision[..., size]) for size in (1, 2, 3))
    return AveragePrecision(
        mean(precision[..., 0]),
        mean(precision[0, ..., 0]),
        mean(precision[5, ..., 0]),
        small,
        medium,
        large,
        recall={limit: mean(recall[..., i]) for i, limit in enumerate(limits)},
        curve=precision[:, :, known, 0].mean(axis=2)
        if known.any()
        else np.full(precision.shape[:2], _NAN),
    )


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
