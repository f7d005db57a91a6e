"""Layers that rectify what they write give what a rectifier after them gives."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    ProposalConfig,
    PyramidConfig,
    ResNeStConfig,
    TrunkConfig,
    VoVNetConfig,
)
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.fold import fold_batch_norm
from napari_sartorius.nn.loading import make_ready, move
from napari_sartorius.nn.rectified import (
    AddedConv2d,
    RectifiedConv2d,
    RectifiedConvTranspose2d,
    rectify_as_written,
)
from napari_sartorius.nn.trunks.build import build_trunk

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="needs oneDNN, which this torch lacks"
)

# Layers that rectify, and that add and rectify, of each trunk.
TRUNKS: list[tuple[Any, int, int]] = [
    (TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)), 1 + 8, 8),
    (TrunkConfig(name="resnet50"), 1 + 2 * 16, 16),
    (TrunkConfig(name="resnext50_32x4d", in_channels=1), 2 * 16, 0),
    (ResNeStConfig(depth=14, in_channels=1), 2 + 4 + 2 * 4, 4),
    (ResNeStConfig(depth=14, in_channels=1, deformable=True), 2 + 4 + 2 * 4 - 3, 4),
    (VoVNetConfig(size="19-slim", in_channels=1), 3 + 4 * 4, 0),
]


def _of(network: nn.Module, kind: type[nn.Module]) -> int:
    return sum(type(module) is kind for module in network.modules())


def _vary(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 0.5, 2.0)


@pytest.mark.parametrize(("config", "rectified", "added"), TRUNKS)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_trunks_give_the_same_maps(
    config: Any, rectified: int, added: int, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    trunk = build_trunk(config)
    _vary(trunk)
    trunk.eval().to(memory_format=layout)  # type: ignore[call-overload]
    fold_batch_norm(trunk)
    batch = torch.randn(1, 1, 64, 96)
    with torch.inference_mode():
        before = [one.clone() for one in trunk(batch)]
        assert rectify_as_written(trunk, "cpu") == rectified + added
        assert _of(trunk, RectifiedConv2d) == rectified
        assert _of(trunk, AddedConv2d) == added
        maps = trunk(batch)
        for one, other in zip(before, maps, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))
        # Nothing is added to a map that was handed out.
        kept = [one.clone() for one in maps]
        trunk(torch.randn(1, 1, 64, 96))
        assert all(torch.equal(one, other) for one, other in zip(maps, kept, strict=True))


def test_what_is_not_folded_or_not_plain_stays() -> None:
    trunk = build_trunk(TrunkConfig(name="resnet18", widths=(16, 16, 16, 16))).eval()
    assert rectify_as_written(trunk, "cpu") == 0
    assert rectify_as_written(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), "cuda") == 0
    around = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")
    assert rectify_as_written(nn.Sequential(around, nn.ReLU()), "cpu") == 0
    assert rectify_as_written(nn.Sequential(nn.Conv2d(1, 1, 3), nn.SiLU()), "cpu") == 0


@pytest.mark.parametrize("count", [0, 3])
def test_layers_alone(count: int) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(6, 4, 3, stride=2, padding=2, dilation=2, groups=2),
        nn.Identity(),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(4, 5, 3, stride=2, output_padding=1),
        nn.ReLU(),
    ).eval()
    given = torch.randn(count, 6, 11, 8)
    with torch.inference_mode():
        wanted = layers(given)
        assert rectify_as_written(layers, "cpu") == 2
        assert type(layers[3]) is RectifiedConvTranspose2d
        torch.testing.assert_close(layers(given), wanted)


def _network() -> MaskRCNNConfig:
    return MaskRCNNConfig(
        num_classes=2,
        trunk=TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
        pyramid=PyramidConfig(width=16),
        proposals=ProposalConfig(convolutions=2),
        box_head=BoxHeadConfig(width=16, layers=1, convolutions=1, conv_width=16, norm="batch"),
        mask_head=MaskHeadConfig(width=16, layers=2),
    )


@pytest.mark.parametrize("precision", ["float32", "mixed", "bfloat16"])
def test_a_network_made_ready_finds_the_same(precision: Any) -> None:
    torch.manual_seed(0)
    plain: Any = build_network(_network())
    _vary(plain)
    plain.eval()
    nn.init.normal_(plain.mask_head.predictor.weight, std=0.5)
    ready = copy.deepcopy(plain)
    make_ready(ready, "cpu", precision)
    ready = move(ready, "cpu")
    assert _of(ready, RectifiedConv2d) == 1 + 8 + 1 + 1 + 2
    assert _of(ready, AddedConv2d) == 8
    assert _of(ready, RectifiedConvTranspose2d) == 1
    batch = torch.randn(1, 1, 96, 64)
    boxes = torch.tensor([[4.0, 5.0, 40.0, 30.0], [20.0, 30.0, 60.0, 90.0]])

    def seen(network: Any) -> list[Tensor]:
        half = precision == "bfloat16"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            features = network.features(batch)
            logits, deltas = network.proposals(features)
            scored = network.score_boxes(features, [boxes])[0]
            masks = network.predict_masks(features, [boxes])[0]
            network.detect(batch, DetectLimits(score=0.99))  # and nothing where there is nothing
        return [*(f.float() for f in features), *logits, *deltas, *scored_parts(scored), masks]

    def scored_parts(scored: Any) -> list[Tensor]:
        return [scored.probabilities, scored.boxes]

    limit = {"float32": 1e-4, "mixed": 2e-2, "bfloat16": 2e-2}[precision]
    for one, other in zip(seen(ready), seen(plain), strict=True):
        assert one.dtype == other.dtype == torch.float32
        scale = max(1.0, float(other.abs().max()))
        if precision == "bfloat16":  # single values differ more once all layers are rounded
            assert float((one - other).abs().mean()) < limit * scale
        else:
            torch.testing.assert_close(one, other, rtol=limit, atol=limit * scale)
