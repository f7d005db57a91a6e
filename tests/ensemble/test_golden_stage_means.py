"""Merging over networks and views gives the numbers of the 11th place's own code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sartorius.core.paste import paste
from napari_sartorius.core.views import View
from napari_sartorius.ensemble.box_means import best_of_each_box
from napari_sartorius.ensemble.mask_means import MaskMean
from napari_sartorius.ensemble.sight import (
    boxes_back,
    boxes_seen,
    half_pixel_earlier,
    masks_back,
)
from napari_sartorius.nn.detector import DetectLimits, Proposals, ScoredBoxes
from napari_sartorius.nn.keep_best import keep_best

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = (
    "04cd81dfb245",
    "315b21b955c6",
    "3c270e8e347a",
    "47fb5fcff2de",
    "4810ddb4229c",
    "704f269a8415",
    "74a506f1d7e8",
    "7c118cb496f7",
)
SIZE = (520, 704)
FLIPS = ("identity", "horizontal", "vertical", "both")


@pytest.fixture(scope="module", params=IMAGES)
def case(request: Any, shared_golden: Path) -> dict[str, Any]:
    folder = shared_golden / "fusion" / "6_theoviel" / request.param
    written = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in ("merge_boxes", "merge_masks")
    }
    with np.load(folder / "merge_arrays.npz") as arrays:
        return written | {name: torch.from_numpy(arrays[name]) for name in arrays}


def _views(scale: str) -> list[View]:
    return [View.parse(f"{flip}@{scale}") for flip in FLIPS]


@pytest.mark.parametrize("scale", ["1.0", "1.5"])
def test_boxes_and_scores_are_averaged_over_networks_and_views(
    case: dict[str, Any], scale: str
) -> None:
    truth = case["merge_boxes"]["scales"][scale]
    shown = case[f"aug_boxes_view_frame_s{scale}"]
    maps = [view.box_map(SIZE) for view in _views(scale)] * 2
    boxes = torch.stack([boxes_back(b, where) for b, where in zip(shown, maps, strict=True)])
    scores = case[f"aug_scores_s{scale}"].mean(dim=0)
    np.testing.assert_allclose(boxes.mean(dim=0), truth["merged_boxes"], atol=1e-4)
    np.testing.assert_allclose(scores, truth["merged_scores"], atol=1e-6)

    background = torch.zeros(len(scores), 1)
    merged = ScoredBoxes(torch.cat([scores, background], dim=1), boxes.mean(dim=0)[:, None])
    proposals = Proposals(merged.boxes[:, 0], scores[:, 0])
    for iou, run in truth["runs"].items():
        limits = DetectLimits(run["rcnn_score"], float(iou), 10_000)
        best = keep_best(best_of_each_box(merged), proposals, SIZE, limits, class_agnostic=True)
        wanted = np.array(run["det_boxes_score_label"])
        np.testing.assert_allclose(best.boxes, wanted[:, :4], atol=1e-4)
        np.testing.assert_allclose(best.scores, wanted[:, 4], atol=1e-6)
        np.testing.assert_array_equal(best.labels, wanted[:, 5])


@pytest.mark.parametrize("scale", ["1.0", "1.5"])
def test_heads_are_shown_boxes_half_a_pixel_earlier_where_axes_are_reversed(
    case: dict[str, Any], scale: str
) -> None:
    boxes = torch.tensor(case["merge_boxes"]["proposals_original_frame"])
    views = _views(scale)
    for view, wanted in zip(views * 2, case[f"rois_after_delta_s{scale}"], strict=True):
        where = view.box_map(SIZE)
        seen = half_pixel_earlier(boxes_seen(boxes, where), where)
        np.testing.assert_allclose(seen, wanted[:, 1:], atol=1e-4)


def test_masks_are_averaged_over_views(case: dict[str, Any]) -> None:
    mean = MaskMean()
    for flip, masks in zip(FLIPS, case["aug_masks_view_frame_uint8"], strict=True):
        mean.add(masks_back(masks.float() / 255, View.parse(flip)))
    merged = mean.probabilities()
    np.testing.assert_allclose(merged, case["merged_mask_prob"], atol=1e-6)

    # The original truncates pasted probabilities to whole 255ths before it compares.
    boxes = case["mask_boxes"][:, :4].numpy()
    drawn = paste(merged.numpy(), boxes, SIZE, 115 / 255)
    assert drawn.tight().to_rle() == case["merge_masks"]["masks_gt_0.45"]
