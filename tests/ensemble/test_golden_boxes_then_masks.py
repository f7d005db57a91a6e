"""Joining boxes and averaging masks gives what the 7th place's own code gave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.paste import paste
from napari_sartorius.ensemble.box_lists import BoxList, concatenated
from napari_sartorius.ensemble.mask_means import MaskMean
from napari_sartorius.postprocess.nms import mask_nms

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


def _list(detections: list[dict[str, Any]]) -> BoxList:
    return BoxList(
        torch.tensor([d["box"] for d in detections], dtype=torch.float32),
        torch.tensor([d["score"] for d in detections], dtype=torch.float32),
        torch.tensor([d["label"] for d in detections]),
    )


@pytest.mark.parametrize("image", IMAGES)
def test_merged_boxes_and_mean_masks(image: str, shared_golden: Path) -> None:
    folder = shared_golden / "fusion"
    given = json.loads((folder / "inputs" / image / "preds.json").read_text())["models"][:2]
    truth = json.loads((folder / "5_t4e" / image / "ensemble.json").read_text())
    lists = [_list(model["detections"]) for model in given]

    merged = concatenated(lists, nms=0.99, most=10_000)
    assert len(merged.scores) == truth["merge"]["n_merged"]
    np.testing.assert_allclose(merged.boxes, truth["merge"]["boxes"], atol=5e-4)
    np.testing.assert_allclose(merged.scores, truth["merge"]["scores"], atol=1e-6)
    np.testing.assert_array_equal(merged.labels, truth["merge"]["classes"])
    source = np.array([m * len(lists[0].scores) + i for m, i in _sources(truth)])
    assert merged.rows is not None
    np.testing.assert_array_equal(merged.rows, source)

    mean = MaskMean()
    with np.load(folder / "5_t4e" / image / "recorded_mask_probs.npz") as recorded:
        for name in ("model0", "model1"):
            mean.add(torch.from_numpy(recorded[name]).float() / 255)
    probabilities = mean.probabilities().numpy()
    for run in truth["runs"].values():
        first = slice(run["n_after_conf"])
        boxes = merged.boxes[first].numpy()
        masks = paste(probabilities[first], boxes, SIZE)
        scores, labels = merged.scores[first].numpy(), merged.labels[first].numpy()
        rows = {"row": np.arange(len(boxes))}
        found = Instances(SIZE, boxes, scores, labels, masks, rows)
        # The original drops an IoU that equals the limit, which ours keeps.
        kept = mask_nms(found, run["mask_nms_iou"] - 1e-6)
        np.testing.assert_array_equal(kept.columns["row"], run["kept_index_into_merged"])
        # Its boxes went to the network's scale and back, which moves them by up to 1e-4 pixels.
        assert _different_pixels(kept.masks, CropMasks.from_rle(run["masks"], SIZE)) <= 2


def _sources(truth: dict[str, Any]) -> list[list[int]]:
    return list(truth["merge"]["source_model_and_detection"])


def _different_pixels(ours: CropMasks, theirs: CropMasks) -> int:
    """Pixels in which masks differ, pair by pair."""
    assert len(ours) == len(theirs)
    rows, columns, shared = ours.overlaps(theirs)
    pairs = rows == columns
    together = np.zeros(len(ours), np.int64)
    together[rows[pairs]] = shared[pairs]
    return int((ours.area() + theirs.area() - 2 * together).sum())
