"""Scores beside the programs that define them: the competition metric, COCO AP, cell shapes."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from report import Row, keep
from skimage.measure import regionprops_table
from stopwatch import seconds

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.shape_features import shape_features
from napari_sartorius.evaluation.coco_ap import coco_average_precision
from napari_sartorius.evaluation.competition import THRESHOLDS, competition_score

SIZE = (520, 704)
AREAS = [[0, 1e10], [0, 324], [324, 961], [961, 1e10]]


def crowd(count: int, seed: int, size: tuple[int, int] = SIZE) -> tuple[Instances, Instances]:
    """Ellipses of about 220 pixels, and the same moved, turned and resized a little."""
    random = np.random.default_rng(seed)
    centre = random.uniform(0, (size[1], size[0]), (count, 2))
    long = random.uniform(7, 13, count)
    short, angle = long * random.uniform(0.5, 1, count), random.uniform(0, np.pi, count)
    moved = centre + random.normal(0, 1.2, (count, 2))
    wider = random.uniform(0.9, 1.1, (2, count))
    truth = _ellipses(centre, long, short, angle, size)
    found = _ellipses(moved, long * wider[0], short * wider[1], angle + 0.1, size)
    return Instances.from_masks(truth), Instances.from_masks(found, random.uniform(0.2, 1, count))


def _ellipses(centre: Any, long: Any, short: Any, angle: Any, size: tuple[int, int]) -> CropMasks:
    reach = 16
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    bitmaps = []
    for a, b, turn in zip(long, short, angle, strict=True):
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        bitmaps.append((along / a) ** 2 + (across / b) ** 2 <= 1)
    return CropMasks.from_bitmaps(bitmaps, centre.astype(int) - reach, size)


def metric() -> list[Row]:
    """The competition's score of one crowded image."""
    truth, found = crowd(800, 1)
    true_codes = truth.masks.to_rle()
    # What the published programs do, from run lengths: resolve overlaps, compare all, count.

    def published() -> float:
        ordered = found.sort_by_score().masks
        taken, codes = np.zeros(SIZE, bool), []
        for i in range(len(ordered)):
            left = ordered.full(i) & ~taken
            taken |= left
            codes.append(coco_mask.encode(np.asfortranarray(left, np.uint8)))
        iou = coco_mask.iou(true_codes, codes, [0] * len(codes))
        precisions = []
        for threshold in THRESHOLDS:
            match = iou > threshold
            right = int((match.sum(axis=0) == 1).sum())
            wrong, missed = int((~match.any(axis=0)).sum()), int((~match.any(axis=1)).sum())
            precisions.append(right / (right + wrong + missed))
        return float(np.mean(precisions))

    mine = competition_score(truth, found, "t4e").score
    assert abs(published() - mine) < 1e-9
    ours, theirs = seconds(lambda: competition_score(truth, found)), seconds(published)
    return [
        Row(
            "competition metric, 800 x 800 objects on 704 x 520, limit 20 ms",
            f"{ours * 1e3:.1f} ms",
            f"{theirs * 1e3:.0f} ms as published",
            ours / 0.020,
            1.0,
        )
    ]


def average_precision() -> list[Row]:
    """COCO AP with LIVECell's sizes and limits."""
    cases = [crowd(300, seed) for seed in range(8)]
    images, truth, results = [], [], []
    for number, pair in enumerate(cases, start=1):
        images.append({"id": number, "height": SIZE[0], "width": SIZE[1]})
        for objects, records in zip(pair, (truth, results), strict=True):
            for code, area, score in zip(
                objects.masks.to_rle(), objects.masks.area(), objects.scores, strict=True
            ):
                records.append(
                    {"image_id": number, "category_id": 1, "segmentation": code, "iscrowd": 0}
                    | {"id": len(records) + 1, "area": int(area), "score": float(score)}
                )
    found: list[float] = []

    def reference() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            true_side = COCO()
            true_side.dataset = {"images": images, "annotations": [dict(r) for r in truth]}
            true_side.dataset["categories"] = [{"id": 1, "name": "cell"}]
            true_side.createIndex()
            side = true_side.loadRes([dict(record) for record in results])
            evaluation = COCOeval(true_side, side, "segm")
            evaluation.params.maxDets, evaluation.params.areaRng = [100, 500, 2000], AREAS
            evaluation.evaluate()
            evaluation.accumulate()
        found.append(float(evaluation.eval["precision"][..., 0, -1].mean()))

    ours = seconds(lambda: coco_average_precision(cases, ["cell"]))
    theirs = seconds(reference)
    assert abs(found[0] - coco_average_precision(cases, ["cell"]).overall.ap) < 1e-6
    what = "COCO AP, 8 images of 300 x 300 objects, four sizes, three limits"
    return [Row(what, f"{ours:.2f} s", f"{theirs:.2f} s pycocotools", ours / theirs, 1 / 3)]


def shapes() -> list[Row]:
    """Thirteen shape features per cell."""
    truth, _ = crowd(2000, 3, (1040, 1408))
    truth = truth.with_masks(truth.masks.remove_overlap())
    labels = truth.masks.to_labels()
    names = ("area", "axis_major_length", "axis_minor_length", "solidity", "extent", "moments_hu")
    ours = seconds(lambda: shape_features(truth.masks))
    theirs = seconds(lambda: regionprops_table(labels, properties=names))
    what = "shape features of 2,000 cells on 1408 x 1040"
    return [Row(what, f"{ours * 1e3:.0f} ms", f"{theirs * 1e3:.0f} ms scikit-image", ours / theirs)]


def main() -> None:
    """Measure all three."""
    keep(
        "evaluation",
        "Scores beside the programs that define them",
        "Both sides start from masks in their own form and give the same figures, which is checked "
        "first. The limit of the metric is in milliseconds, the ratio that to 20 ms.",
        [*metric(), *average_precision(), *shapes()],
    )


if __name__ == "__main__":
    main()
