"""What bfloat16 may change, and what it must not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_sartorius.nn.arithmetic import draw_masks_in_bfloat16, store_in_bfloat16
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.cascade import CascadeMaskRCNN
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    HTCConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.nn.detector import Detections, DetectLimits
from napari_sartorius.nn.mask_head import MaskHead
from napari_sartorius.nn.mask_rcnn import MaskRCNN
from napari_sartorius.nn.predictors import ConvPredictor, LinearPredictor

_LIMITS = DetectLimits(score=0.0, max_detections=20)


@pytest.fixture(params=[MaskRCNNConfig, CascadeMaskRCNNConfig, HTCConfig])
def network(request: pytest.FixtureRequest) -> MaskRCNN:
    torch.manual_seed(0)
    config = request.param(
        num_classes=2,
        trunk=TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        pyramid=PyramidConfig(width=8),
        box_head=BoxHeadConfig(width=16, layers=1),
        mask_head=MaskHeadConfig(width=8, layers=1),
    )
    built = build_network(config).eval()
    assert isinstance(built, MaskRCNN)
    # Mask heads whose answers differ from one half.
    for head in built.modules():
        if isinstance(head, MaskHead):
            nn.init.normal_(head.predictor.weight, std=0.5)
    return built


def _detect(network: MaskRCNN) -> Detections:
    torch.manual_seed(1)
    (found,) = network.detect(torch.randn(1, 1, 64, 64), _LIMITS)
    return found


def test_stored_weights_give_what_autocast_gives(network: MaskRCNN) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        wanted = _detect(network)
        stored = copy.deepcopy(network)
        assert store_in_bfloat16(stored) > 20
        given = _detect(stored)
    for name in ("boxes", "scores", "labels", "mask_probs"):
        assert torch.equal(getattr(given, name), getattr(wanted, name)), name
    assert given.boxes.dtype == torch.float32


def test_masks_in_bfloat16_leave_objects_as_they_are(network: MaskRCNN) -> None:
    wanted = _detect(network)
    assert draw_masks_in_bfloat16(network, "cpu")
    layers = {n: m for n, m in network.named_modules() if hasattr(m, "weight")}
    halved = {n for n, m in layers.items() if m.weight.dtype == torch.bfloat16}
    # Every mask head with what lies between them, and nothing else.
    plain = {n for n, m in layers.items() if not isinstance(m, nn.BatchNorm2d)}
    assert halved == {n for n in plain if "mask_head" in n or n.startswith("flows.")}
    given = _detect(network)
    for name in ("boxes", "scores", "labels"):
        assert torch.equal(getattr(given, name), getattr(wanted, name)), name
    error = (given.mask_probs - wanted.mask_probs).abs().max()
    assert 0 < float(error) < 0.02
    assert float(wanted.mask_probs.std()) > 0.02


def test_last_layers_are_exact_under_autocast_and_stay_so(network: MaskRCNN) -> None:
    store_in_bfloat16(network)
    predictors = [m for m in network.modules() if isinstance(m, LinearPredictor | ConvPredictor)]
    assert len(predictors) == (8 if isinstance(network, CascadeMaskRCNN) else 4)
    for layer in predictors:
        shape = (3, layer.in_features) if isinstance(layer, nn.Linear) else (1, 8, 4, 4)
        given = torch.randn(shape).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            answer = layer(given)
        assert answer.dtype == torch.float32
        assert torch.equal(answer, layer(given.float()))
