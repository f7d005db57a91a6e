"""Thresholds, mask NMS and overlap removal against recorded outputs of a published pipeline.

Where the original errs (it removes one small mask only) its author's own tuning code, recorded
beside it, is the reference.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess import (
    apply,
    keep_by_score,
    keep_by_size,
    majority_category,
    mask_nms,
    recipes,
    remove_overlap,
)
from napari_sartorius.postprocess import filter_config as fc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES = [
    "04cd81dfb245",
    "3c270e8e347a",
    "704f269a8415",
    "74a506f1d7e8",
    "47fb5fcff2de",
    "4810ddb4229c",
    "315b21b955c6",
    "7c118cb496f7",
]
SIZE = (520, 704)


def pasted(soft: NDArray[np.uint8], box: NDArray[np.float32]) -> tuple[NDArray[Any], int, int]:
    """Soft mask (28, 28) in its box: bilinear, pixel centres at one half, nothing outside."""
    x0, y0 = (max(int(np.floor(v)) - 1, 0) for v in box[:2])
    x1, y1 = min(int(np.ceil(box[2])) + 1, SIZE[1]), min(int(np.ceil(box[3])) + 1, SIZE[0])
    grid = np.pad(soft.astype(np.float32) / np.float32(255), 1)

    def weights(low: int, high: int, start: float, stop: float) -> NDArray[Any]:
        place = (np.arange(low, high) + 0.5 - start) / (stop - start) * 28 - 0.5 + 1
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(30)))

    values = weights(y0, y1, box[1], box[3]) @ grid @ weights(x0, x1, box[0], box[2]).T
    return values, x0, y0


@pytest.fixture(scope="module", params=IMAGES)
def reference(request: pytest.FixtureRequest, shared_golden: Path) -> tuple[Instances, Any]:
    folder = shared_golden / "fusion"
    inputs = folder / "inputs" / request.param
    recorded = json.loads((folder / "6_theoviel" / request.param / "post_process.json").read_text())
    models = json.loads((inputs / "preds.json").read_text())["models"][:2]
    detections = [d for model in models for d in model["detections"]]
    with np.load(inputs / "preds_probs.npz") as file:
        soft = np.concatenate([file["model0"], file["model1"]])
    bitmaps, origins = [], []
    for detection, mask in zip(detections, soft, strict=True):
        values, x0, y0 = pasted(mask, np.float32(detection["box"]))
        bitmaps.append(np.floor(values * 255) > 0.45 * 255)
        origins.append((x0, y0))
    masks = CropMasks.from_bitmaps(bitmaps, origins, SIZE)
    # The pasting here is the test's own: it must agree with the original's first.
    areas = recorded["pasted_input_uint8_checksums"]["area_gt_0.45"]
    assert np.abs(masks.area() - areas).max() <= 1
    instances = Instances.from_masks(
        masks, [d["score"] for d in detections], [d["label"] for d in detections]
    )
    instances.columns["input"] = np.arange(len(instances))
    return instances, recorded


RUNS = ["final_cort_pass", "best_cv_min_sizes", "commented_min_sizes"]


@pytest.mark.parametrize("run", RUNS)
def test_the_whole_recipe(reference: tuple[Instances, Any], run: str) -> None:
    instances, recorded = reference
    stages = recorded["runs"][run]
    kind, params = stages["cell_type_index"], stages["params"]
    assert majority_category(instances) == kind
    # The type of the image, not of the object, chooses the thresholds.
    typed = replace(instances, categories=np.full(len(instances), kind))
    filters = recipes.theoviel(
        scores=params["thresholds_conf"],
        nms=params["thresholds_nms"],
        min_sizes=params["min_sizes"],
        convex_polygons=True,
        compat="theoviel",
    )
    found = apply(filters, typed, recipes.SARTORIUS).sort_by_score()
    assert found.columns["input"].tolist() == stages["final_indices"]
    tolerance = pixels_off(found, stages["final_masks"])
    assert tolerance <= 1
    small = fc.MinSizeFilter(pixels=params["min_sizes"][kind], compat="theoviel")
    before = apply([*filters[:2], small], typed, recipes.SARTORIUS).sort_by_score()
    assert before.columns["input"].tolist() == stages["after_small_removal"]
    if kind == 1:
        corrupt = apply(filters[:-1], typed, recipes.SARTORIUS).sort_by_score()
        assert pixels_off(corrupt, stages["after_corrupt"]) == 0


def pixels_off(found: Instances, recorded: Any) -> int:
    expected = CropMasks.from_rle(recorded, SIZE)
    assert len(found) == len(expected)
    return max(int((found.masks.full(i) ^ expected.full(i)).sum()) for i in range(len(expected)))


@pytest.mark.parametrize("run", RUNS)
def test_filters(reference: tuple[Instances, Any], run: str) -> None:
    instances, recorded = reference
    stages = recorded["runs"][run]
    cell_type = stages["cell_type_index"]
    limits = {
        name: values[cell_type]
        for name, values in stages["params"].items()
        if isinstance(values, list)
    }

    certain = keep_by_score(instances.sort_by_score(), limits["thresholds_conf"])
    assert certain.columns["input"].tolist() == stages["after_conf"]
    single = mask_nms(certain, limits["thresholds_nms"])
    assert single.columns["input"].tolist() == stages["after_mask_nms"]
    # The original's minimum is the largest size that goes.
    least = limits["min_sizes"] + 1 if limits["min_sizes"] else 0
    large = keep_by_size(single, least)
    assert large.columns["input"].tolist() == stages["small_removal_if_all_small_were_removed"]


def test_mask_nms_at_several_thresholds(reference: tuple[Instances, Any]) -> None:
    instances, recorded = reference
    recorded = recorded["mask_nms_multithresh"]
    for threshold, kept in zip(recorded["thresholds"], recorded["kept"], strict=True):
        result = mask_nms(instances, threshold).sort_by_score()
        assert result.columns["input"].tolist() == kept


def test_overlap_removal(reference: tuple[Instances, Any]) -> None:
    instances, recorded = reference
    for stages in recorded["runs"].values():
        unchanged = isinstance(stages["no_overlap_removal_masks"], str)
        if unchanged:
            # Nothing happened in between: start from the masks that passed the size filter.
            masks = instances[stages["after_small_removal"]].masks
        else:
            masks = CropMasks.from_rle(stages["no_overlap_removal_masks"], SIZE)
        scores = np.linspace(1, 0.5, len(masks))
        apart = remove_overlap(Instances.from_masks(masks, scores))
        expected = CropMasks.from_rle(stages["final_masks"], SIZE)
        assert len(apart) == len(expected)
        # One pixel for the test's own pasting; recorded masks must come out exactly.
        tolerance = 1 if unchanged else 0
        for i in range(len(apart)):
            assert (apart.masks.full(i) ^ expected.full(i)).sum() <= tolerance
        assert np.abs(apart.masks.area() - stages["final_areas"]).max() <= tolerance
