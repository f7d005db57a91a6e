"""ResNeSt trunks: levels, options, gradients, and the same numbers after a bundle and a fold."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import ValidationError
from timm.models.resnest import ResNestBottleneck
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    MaskHeadConfig,
    ProposalConfig,
    PyramidConfig,
    ResNeStConfig,
)
from napari_sartorius.nn.deformable import DeformableConv2d
from napari_sartorius.nn.fold import fold_batch_norm
from napari_sartorius.nn.norms import FrozenBatchNorm
from napari_sartorius.nn.trunks.freeze import batch_norms
from napari_sartorius.nn.trunks.resnest import ResNeStTrunk
from napari_sartorius.zoo import save_bundle
from tiny_models import tiny_card

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 200: (3, 24, 36, 3)}


def _tree(**trunk: Any) -> CascadeMaskRCNNConfig:
    """LIVECell's network, only narrow behind a trunk of 50 layers."""
    return CascadeMaskRCNNConfig(
        num_classes=2,
        trunk=ResNeStConfig(**trunk),
        pyramid=PyramidConfig(width=32, norm="group", extra_level=True),
        proposals=ProposalConfig(
            anchor_sizes=((4.0,), (9.0,), (17.0,), (31.0,), (64.0,), (127.0,)),
            levels=(0, 0, 1, 2, 3, 4),
            pre_nms_topk_test=50,
            post_nms_topk_test=40,
        ),
        box_head=BoxHeadConfig(convolutions=2, conv_width=32, norm="frozen", layers=1, width=16),
        mask_head=MaskHeadConfig(width=32, layers=2, norm="batch"),
    )


def _vary(network: nn.Module) -> None:
    """Statistics, scales and offsets of their own, so that a wrong step shows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
        if isinstance(module, DeformableConv2d):
            nn.init.normal_(module.offset.weight, std=0.02)


@pytest.mark.parametrize("depth", [50, 101, 200])
def test_depths_have_their_blocks_and_levels(depth: int) -> None:
    trunk = ResNeStTrunk(ResNeStConfig(depth=depth, deformable=depth == 200)).eval()
    layers: Any = trunk.body
    stages = (layers.layer1, layers.layer2, layers.layer3, layers.layer4)
    assert tuple(len(stage) for stage in stages) == BLOCKS[depth]
    wide = 32 if depth == 50 else 64
    assert [layers.conv1[i].out_channels for i in (0, 3, 6)] == [wide, wide, 2 * wide]
    deformable = [sum(isinstance(m, DeformableConv2d) for m in stage.modules()) for stage in stages]
    assert deformable == ([0, *BLOCKS[200][1:]] if depth == 200 else [0] * 4)
    with torch.inference_mode():
        maps = trunk(torch.randn(1, 3, 64, 96))
    assert trunk.strides == (4, 8, 16, 32)
    for level, stride, channels in zip(maps, trunk.strides, trunk.channels, strict=True):
        assert level.shape == (1, channels, 64 // stride, 96 // stride)


@pytest.mark.parametrize("norm", ["batch", "frozen", "group"])
def test_options_of_the_stem_and_the_normalisation(norm: str) -> None:
    torch.manual_seed(0)
    trunk = ResNeStTrunk(
        ResNeStConfig(norm=norm, in_channels=1, stem_stride=1, deformable=True)  # type: ignore[arg-type]
    ).train()
    if norm == "batch":
        with pytest.raises(UserError, match="two images"):
            trunk(torch.randn(1, 1, 32, 64))
        for layer in batch_norms(trunk):
            layer.eval()  # as a run with frozen normalisation does
        trunk(torch.randn(1, 1, 32, 64))
        trunk.train()
    maps = trunk(torch.randn(2, 1, 32, 64))
    assert trunk.strides == (2, 4, 8, 16)
    assert [tuple(m.shape[2:]) for m in maps] == [(16, 32), (8, 16), (4, 8), (2, 4)]
    kinds = {type(m) for m in trunk.modules() if "Norm" in type(m).__name__}
    assert kinds == {
        {"batch": nn.BatchNorm2d, "frozen": FrozenBatchNorm, "group": nn.GroupNorm}[norm]
    }
    sum(m.square().mean() for m in maps).backward()  # type: ignore[union-attr]
    without = {n for n, p in trunk.named_parameters() if p.grad is None or not p.grad.any()}
    trained = {n for n, p in trunk.named_parameters() if p.requires_grad}
    if norm == "frozen":
        assert all(".bn" in name or "downsample.1" in name or "conv1." in name for name in without)
        statistics = [m.running_mean for m in trunk.modules() if isinstance(m, FrozenBatchNorm)]
        assert not any(mean.any() for mean in statistics if mean is not None)
        assert not without & trained
    else:
        assert trained == {n for n, _ in trunk.named_parameters()}


def test_stages_compose_and_what_is_learnt_survives_a_bundle(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = build_network(_tree(deformable=True))
    _vary(network)
    network.eval()
    sizes = [(64, 96), (60, 90)]
    with torch.inference_mode():
        features = network.features(torch.randn(2, 3, 64, 96))
        proposals = network.propose(features, sizes)
        boxes = [p.boxes[:5] for p in proposals]
        scored = network.score_boxes(features, boxes, sizes)
        masks = network.predict_masks(features, boxes)
    assert [f.shape[2] for f in features] == [16, 8, 4, 2, 1]
    assert all(one.boxes.shape == (5, 1, 4) for one in scored)
    assert all(mask.shape == (5, 2, 28, 28) for mask in masks)

    card = tiny_card(architecture=network.config)
    loaded = save_bundle(tmp_path / "m", card, network.state_dict(), "float32").load_network()
    assert loaded.config == network.config
    state = loaded.state_dict()
    assert list(state) == list(network.state_dict())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=0)


def test_a_fold_reaches_every_batch_normalisation_and_changes_nothing() -> None:
    torch.manual_seed(0)
    network: Any = build_network(_tree(deformable=True))
    _vary(network)
    network.double().eval()
    batch = torch.randn(1, 3, 64, 64).double()
    pooled = torch.randn(3, 32, 14, 14).double()
    with torch.inference_mode():
        before = network.features(batch)
        masks, boxes = network.mask_head(pooled), network.box_head.blocks(pooled)
        count = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
        assert fold_batch_norm(network) == count > 70
        assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
        after = network.features(batch)
        for one, other in zip(before, after, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8 * float(one.abs().max()))
        torch.testing.assert_close(network.mask_head(pooled), masks)
        torch.testing.assert_close(network.box_head.blocks(pooled), boxes)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_blocks_give_maps_and_gradients_of_timms(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    ours = ResNeStTrunk(ResNeStConfig(depth=14, in_channels=1, norm="frozen"))
    _vary(ours)
    ours.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    theirs = copy.deepcopy(ours)
    for module in theirs.modules():
        if type(module).__module__.endswith("split_attention"):
            module.__class__ = type(module).__mro__[1]
    assert sum(type(m) is ResNestBottleneck for m in theirs.modules()) == 4
    batch = torch.randn(2, 1, 64, 96).to(dtype)
    results = []
    for trunk in (ours, theirs):
        maps = trunk(batch)
        sum(m.square().mean() for m in maps).backward()  # type: ignore[union-attr]
        slopes = [p.grad for p in trunk.parameters() if p.grad is not None]
        results.append([*(one.detach() for one in maps), *slopes])
    # Rounding after other operations; a wrong weight changes everything.
    limit = 1e-9 if dtype == torch.float64 else 0.1
    assert len(results[0]) == len(results[1]) > 4 + 20
    for one, other in zip(*results, strict=True):
        assert float((one - other).norm()) <= limit * float(other.norm())


def test_groups_must_divide() -> None:
    for tree in (PyramidConfig, MaskHeadConfig):
        with pytest.raises(ValidationError, match="multiple of 32"):
            tree(width=48, norm="group")
    with pytest.raises(ValidationError, match="multiple of 32"):
        BoxHeadConfig(convolutions=1, conv_width=16, norm="group")
    assert BoxHeadConfig(conv_width=16, norm="group").convolutions == 0
    with pytest.raises(ValidationError):
        ResNeStConfig(depth=152)  # type: ignore[arg-type]
