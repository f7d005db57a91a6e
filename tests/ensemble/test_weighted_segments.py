"""Weighted segments fusion repeats the notebook where asked to, and is put right where not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fusion_looks import (
    GOLDEN_IMAGES,
    IMAGE_SIZE,
    FourModels,
    assert_same_masks,
    canvas,
    disc,
    found,
)
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.ensemble.box_fusion import FusedBoxes, weighted_boxes_fusion
from napari_sartorius.ensemble.clusters import Clusters
from napari_sartorius.ensemble.looks import Look
from napari_sartorius.ensemble.suppression import box_nms
from napari_sartorius.ensemble.weighted_segments import (
    WeightedSegments,
    fuse_segments,
    weighted_segments,
)

if TYPE_CHECKING:
    from pathlib import Path

_UNIT = np.array([IMAGE_SIZE[1], IMAGE_SIZE[0]] * 2, np.float64)


def _fused(models: FourModels, skip: float) -> FusedBoxes:
    one_label = np.ones_like(models.labels)
    return weighted_boxes_fusion(
        models.boxes, models.scores, one_label, models.model, [1] * 4, min_score=skip
    )


@pytest.mark.parametrize("image", GOLDEN_IMAGES)
def test_the_notebook_on_four_models(shared_golden: Path, image: str) -> None:
    file = shared_golden / "fusion" / "3_wsf" / image / "multimodel.json"
    recorded = json.loads(file.read_text())
    models = FourModels.read(shared_golden, image)
    fused = _fused(models, recorded["skip_box_thr"])
    expected = recorded["fused"]
    np.testing.assert_allclose(fused.scores, [o["score"] for o in expected], atol=1e-6)
    boxes = [o["box_norm"] for o in expected]
    np.testing.assert_allclose(fused.boxes / _UNIT, boxes, atol=1e-6)
    assert models.names(fused.clusters) == [[m[:2] for m in o["members"]] for o in expected]
    members = models.masks[fused.clusters.members]
    masks, _ = fuse_segments(members, fused.clusters, fused.boxes, compat="mistag")
    assert_same_masks(masks, CropMasks.from_rle([o["fused_mask"] for o in expected], IMAGE_SIZE))

    # The same from the soft masks, as a strategy.
    options = WeightedSegments(min_score=recorded["skip_box_thr"], compat="mistag")
    objects = weighted_segments(models.looks(), canvas(IMAGE_SIZE), options)
    assert_same_masks(objects.masks, masks)
    assert objects.columns["votes"].max() <= 4


@pytest.mark.parametrize("image", ["4810ddb4229c", "7c118cb496f7"])
def test_exact_views_find_the_members_that_the_notebook_lost(
    shared_golden: Path, image: str
) -> None:
    file = shared_golden / "fusion" / "3_wsf" / image / "tta.json"
    recorded = json.loads(file.read_text())
    models = FourModels.read(shared_golden, image)
    fused = _fused(models, recorded["skip_box_thr"])
    expected = recorded["fused"]
    assert models.names(fused.clusters) == [[m[:2] for m in o["members"]] for o in expected]
    members = models.masks[fused.clusters.members]
    masks, _ = fuse_segments(members, fused.clusters, fused.boxes, compat="mistag")
    theirs = CropMasks.from_rle([o["fused_mask"] for o in expected], IMAGE_SIZE)
    # Their masks of the view that was turned came back shifted by one pixel.
    turned = np.array([any(m[0] == 3 for m in o["members"]) for o in expected])
    assert_same_masks(masks[~turned], theirs[~turned])


@pytest.mark.parametrize("image", GOLDEN_IMAGES)
def test_suppression_of_a_single_model(shared_golden: Path, image: str) -> None:
    file = shared_golden / "fusion" / "3_wsf" / image / "single_model0.json"
    items = json.loads(file.read_text())["items"]
    models = FourModels.read(shared_golden, image)
    own = models.model == 0
    one_label = np.zeros(int(own.sum()), np.int64)
    kept = box_nms(models.boxes[own].astype(float), models.scores[own], one_label, 0.5)
    # The notebook drops low scores afterwards.
    assert kept[: len(items)].tolist() == [item["detection_index"] for item in items]


def test_votes_are_counted_inside_the_fused_box() -> None:
    stack = np.zeros((3, 10, 10), np.uint8)
    stack[0, 1:9, 1:9] = 1
    stack[1, 1:9, 3:9] = 1
    stack[2, 1:9, 5:9] = 1
    clusters = Clusters(np.arange(3), np.array([3]))
    box = np.array([[2.5, 1.0, 7.5, 9.0]])
    masks, agreement = fuse_segments(CropMasks.from_full(stack), clusters, box)
    # Two of three, columns 3 to 8, and the box touches columns 2 to 7.
    assert masks.tight().boxes.tolist() == [[3, 1, 8, 9]]
    quirk, _ = fuse_segments(CropMasks.from_full(stack), clusters, box, compat="mistag")
    assert quirk.tight().boxes.tolist() == [[2, 1, 7, 9]]
    np.testing.assert_allclose(agreement, [(6 / 8 + 4 / 8 + 4 / 6) / 3], rtol=1e-6)


def test_categories_at_one_place_become_one() -> None:
    square = np.ones((1, *disc().shape), np.float32)
    looks = [
        Look(found([[10, 10, 30, 30]], [0.9], [0], square)),
        Look(found([[10, 10, 30, 30]], [0.8], [1], square), model=1),
        Look(found([[10, 10, 30, 30]], [0.7], [1], square), model=2),
    ]
    objects = weighted_segments(looks, canvas(), WeightedSegments())
    assert objects.categories.tolist() == [1]
    assert objects.columns["members"].tolist() == [3]
    np.testing.assert_allclose(objects.columns["score_spread"], np.std([0.9, 0.8, 0.7]))
