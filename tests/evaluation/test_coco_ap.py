"""COCO average precision: the fast implementation must equal pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation.coco_ap import coco_average_precision

NAMES = ("shsy5y", "astro", "cort")


def scene(random: np.random.Generator, count: int, extent: int = 96) -> tuple[Instances, Instances]:
    """Boxes as truth; as prediction the same shifted a little, some lost, some invented."""
    truth = np.zeros((count, extent, extent), np.bool_)
    predicted = np.zeros((count + 5, extent, extent), np.bool_)
    for i, mask in enumerate(predicted):
        y, x = random.integers(0, extent - 14, 2)
        h, w = random.integers(5, 13, 2)
        if i < count:
            truth[i, y : y + h, x : x + w] = True
        dy, dx = random.integers(0, 3, 2)
        mask[y + dy : y + h, x + dx : x + w + dx] = True
    keep = random.random(count + 5) < 0.9
    categories = random.integers(0, 2, count + 5)
    scores = random.integers(0, 50, count + 5) / 50
    return (
        Instances.from_masks(CropMasks.from_full(truth), categories=categories[:count]),
        Instances.from_masks(CropMasks.from_full(predicted), scores, categories)[keep],
    )


def reference(
    cases: list[tuple[Instances, Instances]], limits: list[int], category: int | None = None
) -> list[float]:
    """All figures by pycocotools, in the order of `AveragePrecision.to_dict`."""
    images, truth, results = [], [], []
    for number, (true_objects, objects) in enumerate(cases, 1):
        height, width = true_objects.image_size
        images.append({"id": number, "height": height, "width": width})
        for side, records in ((true_objects, truth), (objects, results)):
            crowd = side.columns.get("iscrowd", np.zeros(len(side), int))
            for i, code in enumerate(side.masks.to_rle()):
                records.append(
                    {
                        "id": len(records) + 1,
                        "image_id": number,
                        "category_id": int(side.categories[i]) + 1,
                        "segmentation": code,
                        "area": int(side.masks.area()[i]),
                        "score": float(side.scores[i]),
                        "iscrowd": int(crowd[i]),
                    }
                )
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(NAMES)]
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for records in (truth, results):
            side = COCO()
            side.dataset = {"images": images, "categories": categories, "annotations": records}
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, "segm")
        evaluation.params.maxDets = limits
        evaluation.params.areaRng = [[0, 1e10], [0, 324], [324, 961], [961, 1e10]]
        if category is not None:
            evaluation.params.catIds = [category + 1]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"][..., -1], evaluation.eval["recall"]
    whole = precision[..., 0]
    values = [whole, whole[0], whole[5], *(precision[..., k] for k in (1, 2, 3))]
    values += [recall[:, :, 0, k] for k in range(len(limits))]
    return [float(v[v > -1].mean()) for v in values]


@pytest.mark.parametrize("limits", [[20], [100, 101], [100, 500, 2000], [100, 500, 5000]])
def test_equals_pycocotools(limits: list[int]) -> None:
    random = np.random.default_rng(limits[-1])
    cases = [scene(random, count) for count in (0, 3, 40, 150)]
    cases[2][0].columns["iscrowd"] = (np.arange(40) % 13 == 0).astype(int)
    cases.append(tuple(enlarged(side, 3) for side in scene(random, 60)))  # type: ignore[arg-type]
    score = coco_average_precision(cases, NAMES, max_detections=limits[-1])
    found = score.overall.to_dict()
    assert list(found)[6:] == [f"ar{limit}" for limit in limits]
    np.testing.assert_allclose(list(found.values()), reference(cases, limits), atol=1e-6)
    assert 0.05 < score.overall.ap < score.overall.ap50 < 1
    assert len(set(found.values())) >= 6 + (len(limits) > 1)
    np.testing.assert_allclose(score.overall.curve.mean(), score.overall.ap, atol=1e-6)
    assert sorted(score.per_category) == ["astro", "shsy5y"]
    for i, name in enumerate(NAMES[:2]):
        own = list(score.per_category[name].to_dict().values())
        np.testing.assert_allclose(own, reference(cases, limits, i), atol=1e-6)


def enlarged(objects: Instances, times: int) -> Instances:
    """Every pixel as a square of pixels, for cells of other sizes."""
    masks = [np.kron(objects.masks.full(i), np.ones((times, times))) for i in range(len(objects))]
    return Instances.from_masks(
        CropMasks.from_full(np.array(masks)), objects.scores, objects.categories
    )


def test_crowded_images_need_the_limit() -> None:
    cases = [scene(np.random.default_rng(5), 400, extent=250)]
    few = coco_average_precision(cases, NAMES, max_detections=100).overall.ap
    all_of_them = coco_average_precision(cases, NAMES).overall.ap
    assert few < 0.8 * all_of_them


def test_perfect_and_absent() -> None:
    truth, _ = scene(np.random.default_rng(1), 10)
    assert coco_average_precision([(truth, truth)], NAMES).overall.ap == pytest.approx(1)
    none = Instances.empty(truth.image_size)
    assert coco_average_precision([(truth, none)], NAMES).overall.ap == 0
    assert np.isnan(coco_average_precision([(none, truth)], NAMES).overall.ap)
    assert np.isnan(coco_average_precision([], NAMES).overall.ap)
    with pytest.raises(UserError, match="limit on detections is 0"):
        coco_average_precision([(truth, truth)], NAMES, max_detections=0)
