"""Mask R-CNN against the outputs of the original detectron2 networks, stage by stage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from golden_weights import golden_weights
from napari_sartorius.nn.anchors import grid_anchors
from napari_sartorius.nn.boxes import apply_deltas
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.loading import make_ready, move
from napari_sartorius.nn.pooling import assign_levels, pool_boxes
from napari_sartorius.nn.stock import stock_mask_rcnn
from napari_sartorius.zoo.checkpoints.detectron2.names import renamed

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.nn.mask_rcnn import MaskRCNN

CASE = "mask_rcnn_r50_fpn"

STOCK = stock_mask_rcnn(50, 3)


@pytest.fixture(scope="module")
def golden(shared_golden: Path) -> Path:
    return shared_golden / "networks"


@pytest.fixture(scope="module", params=["as it is", "made ready"])
def network(golden: Path, request: pytest.FixtureRequest) -> MaskRCNN:
    weights = golden_weights(golden, CASE, with_ignored=False)
    net = build_network(STOCK)
    state = {renamed(name): value for name, value in weights.items()}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    net.eval()
    if request.param == "made ready":  # for detection on the processor
        make_ready(net, "cpu", "float32")
        move(net, "cpu")
    return net


@pytest.fixture(scope="module")
def truth(golden: Path) -> dict[str, Any]:
    return dict(np.load(golden / CASE / "outputs_crop.npz"))


@pytest.fixture(scope="module")
def batch(golden: Path, truth: dict[str, Any]) -> torch.Tensor:
    grey = np.load(golden / "inputs" / "crop.npy")
    height, width = (int(n) for n in truth["input/resized_hw"])
    resized = np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR))
    mean = np.array([103.53, 116.28, 123.675], np.float32)[:, None, None]
    normalised = np.repeat(resized[None].astype(np.float32), 3, 0) - mean
    padded = np.zeros((3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
    padded[:, :height, :width] = normalised
    return torch.from_numpy(padded)[None]


@pytest.fixture(scope="module")
def features(network: MaskRCNN, batch: torch.Tensor) -> list[torch.Tensor]:
    with torch.inference_mode():
        return network.features(batch)


def _close(given: torch.Tensor, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(given.detach().numpy(), wanted, rtol=0, atol=tolerance)


def test_pyramid_levels_are_those_of_the_original(
    features: list[torch.Tensor], truth: dict[str, Any]
) -> None:
    for index, level in enumerate(features):
        name = f"fpn/p{index + 2}"
        assert tuple(level.shape[1:]) == tuple(truth[f"{name}/shape"])
        corner = truth[f"{name}/corner"]
        _close(level[0][tuple(slice(n) for n in corner.shape)], corner, 1e-4)
        values = level.double()
        _close(
            torch.stack([values.mean(), values.std(correction=0)]), truth[f"{name}/mean_std"], 1e-4
        )


def test_proposals_are_those_of_the_original(
    network: MaskRCNN, features: list[torch.Tensor], truth: dict[str, Any]
) -> None:
    with torch.inference_mode():
        logits, _ = network.proposals.head(features)
        size = tuple(int(n) for n in truth["input/resized_hw"])
        proposals = network.propose(features, [(size[0], size[1])])[0]
    for level, logit in enumerate(logits):
        wanted = truth[f"rpn/{level}/top50_logits"]
        _close(logit[0].topk(len(wanted)).values, wanted, 5e-4)
    shapes = tuple((int(f.shape[2]), int(f.shape[3])) for f in features)
    anchors = grid_anchors(STOCK.proposals, shapes, (4, 8, 16, 32, 64), torch.device("cpu"))
    for level, anchor in enumerate(anchors):
        _close(anchor[:20], truth[f"rpn/{level}/anchors_first20"], 1e-4)
    assert len(proposals.boxes) == int(truth["proposals/count"][0])
    _close(proposals.boxes[:200], truth["proposals/boxes_top200"], 0.02)
    _close(proposals.logits[:200], truth["proposals/logits_top200"], 5e-4)


def test_heads_on_fixed_boxes_are_those_of_the_original(
    network: MaskRCNN, features: list[torch.Tensor], truth: dict[str, Any]
) -> None:
    boxes = torch.from_numpy(truth["fixed/boxes"])
    levels = assign_levels(boxes, 224, 4)
    np.testing.assert_array_equal(levels.numpy(), truth["fixed/levels"])
    with torch.inference_mode():
        pooled = pool_boxes(features, (4, 8, 16, 32), [boxes], STOCK.box_head.pooler)
        wanted = truth["fixed/box_pooled_first4ch"]
        _close(pooled[:, : wanted.shape[1]], wanted, 1e-4)
        logits, deltas = network.box_head(pooled)
        _close(logits, truth["fixed/class_logits"], 5e-4)
        _close(deltas, truth["fixed/box_deltas"], 5e-4)
        decoded = apply_deltas(boxes, deltas, STOCK.box_head.delta_weights)
        _close(decoded.flatten(1), truth["fixed/decoded_boxes"].reshape(len(boxes), -1), 0.02)
        masks = network.mask_head(
            pool_boxes(features, (4, 8, 16, 32), [boxes], STOCK.mask_head.pooler)
        )
        _close(masks, truth["fixed/mask_logits"], 5e-4)


def test_detections_are_those_of_the_original(
    network: MaskRCNN, batch: torch.Tensor, truth: dict[str, Any]
) -> None:
    height, width = (int(n) for n in truth["input/resized_hw"])
    found = network.detect(batch, DetectLimits(0.05, 0.5, 100), [(height, width)])[0]
    assert found.capped
    _close(found.boxes, truth["detections_netscale/boxes"], 0.02)
    _close(found.scores, truth["detections/scores"], 1e-3)
    np.testing.assert_array_equal(found.labels.numpy(), truth["detections/classes"])
    probabilities = truth["detections_netscale/mask_prob_first20"]
    _close(found.mask_probs[: len(probabilities)], probabilities.reshape(-1, 28, 28), 5e-4)


def test_config_agrees_with_the_published_one(golden: Path) -> None:
    published = json.loads((golden / CASE / "config.json").read_text())
    assert [list(s) for s in STOCK.proposals.anchor_sizes] == published["anchors"]["sizes"]
    assert STOCK.proposals.nms_iou == published["rpn"]["nms_iou"]
    assert STOCK.trunk.stride_in_1x1 == published["backbone"]["stride_in_1x1"]
    assert STOCK.box_head.pooler.resolution == published["box_head"]["pooler"]["resolution"]
