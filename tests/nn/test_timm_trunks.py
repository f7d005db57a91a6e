"""Every trunk from timm: strides, channels, stems, what stays frozen, and a detector on top."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    ProposalConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.nn.fold import fold_batch_norm
from napari_sartorius.nn.trunks.freeze import batch_norms
from napari_sartorius.nn.trunks.timm_trunk import TimmTrunk

# Every trunk that is named in the documentation with the channels of its levels.
TRUNKS = {
    "resnet50": (256, 512, 1024, 2048),
    "resnet101": (256, 512, 1024, 2048),
    "resnext101_32x4d": (256, 512, 1024, 2048),
    "resnext101_64x4d": (256, 512, 1024, 2048),
    "tf_efficientnet_b4": (32, 56, 160, 448),
    "tf_efficientnet_b5": (40, 64, 176, 512),
    "tf_efficientnet_b6": (40, 72, 200, 576),
    "tf_efficientnetv2_s": (48, 64, 160, 256),
    "tf_efficientnetv2_m": (48, 80, 176, 512),
    "efficientnetv2_rw_m": (56, 80, 192, 328),
    "swin_tiny_patch4_window7_224": (96, 192, 384, 768),
    "swin_small_patch4_window7_224": (96, 192, 384, 768),
    "swin_base_patch4_window7_224": (128, 256, 512, 1024),
    "swin_large_patch4_window7_224": (192, 384, 768, 1536),
    "focalnet_tiny_srf": (96, 192, 384, 768),
    "focalnet_small_lrf": (96, 192, 384, 768),
    "focalnet_base_lrf": (128, 256, 512, 1024),
    "focalnet_large_fl3": (192, 384, 768, 1536),
}
# One small member of each family for real numbers.
SMALL = (
    "resnext50_32x4d",
    "efficientnet_b0",
    "tf_efficientnetv2_b0",
    "swin_tiny_patch4_window7_224",
    "focalnet_tiny_srf",
)
# No multiple of an attention window or of the stride of most networks' classifiers.
SIZE = (96, 160)


def _detector(name: str, in_channels: int, stem_stride: int) -> MaskRCNNConfig:
    return MaskRCNNConfig(
        num_classes=2,
        trunk=TrunkConfig(name=name, in_channels=in_channels, stem_stride=stem_stride),
        pyramid=PyramidConfig(width=16),
        proposals=ProposalConfig(pre_nms_topk_test=200, post_nms_topk_test=150),
        box_head=BoxHeadConfig(width=16, layers=1),
        mask_head=MaskHeadConfig(width=16, layers=1),
    )


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("name", TRUNKS)
def test_levels_of_every_trunk(name: str, in_channels: int, stem_stride: int) -> None:
    """Shapes alone, without numbers, so that the largest ones cost nothing."""
    if (in_channels, stem_stride) != (1, 1) and "large" in name:
        pytest.skip("the largest trunks are built once")
    with torch.device("meta"):
        trunk = TimmTrunk(
            TrunkConfig(name=name, in_channels=in_channels, stem_stride=stem_stride)
        ).eval()
        maps = trunk(torch.zeros(2, in_channels, *SIZE))
    assert trunk.channels == TRUNKS[name]
    assert trunk.strides == tuple(s * stem_stride // 2 for s in (4, 8, 16, 32))
    for level, stride, channels in zip(maps, trunk.strides, trunk.channels, strict=True):
        assert level.shape == (2, channels, SIZE[0] // stride, SIZE[1] // stride)


@pytest.mark.parametrize(("in_channels", "stem_stride"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("name", SMALL)
def test_stage_wise_calls_on_every_family(name: str, in_channels: int, stem_stride: int) -> None:
    torch.manual_seed(0)
    network = build_network(_detector(name, in_channels, stem_stride)).eval()
    batch = torch.randn(2, in_channels, *SIZE)
    with torch.inference_mode():
        features = network.features(batch)  # type: ignore[operator]
        proposals = network.propose(features, [SIZE, (90, 150)])  # type: ignore[operator]
        boxes = [p.boxes[:4] for p in proposals]
        scored = network.score_boxes(features, boxes)  # type: ignore[operator]
        masks = network.predict_masks(features, boxes)  # type: ignore[operator]
    strides = [s * stem_stride // 2 for s in (4, 8, 16, 32)]
    assert [f.shape for f in features] == [(2, 16, SIZE[0] // s, SIZE[1] // s) for s in strides]
    assert all(torch.isfinite(f).all() for f in features)
    assert [s.probabilities.shape for s in scored] == [(4, 3), (4, 3)]
    assert [m.shape for m in masks] == [(4, 2, 28, 28), (4, 2, 28, 28)]


def _vary(trunk: nn.Module) -> None:
    """Statistics and scales of their own, so that a wrong fold shows."""
    for module in batch_norms(trunk):
        nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.normal_(module.bias, std=0.1)
        assert module.running_mean is not None
        assert module.running_var is not None
        nn.init.normal_(module.running_mean, std=0.1)
        nn.init.uniform_(module.running_var, 0.5, 2.0)


@pytest.mark.parametrize(
    "name",
    [
        "resnext50_32x4d",
        "efficientnet_b0",
        "tf_efficientnet_b4",
        "tf_efficientnet_b5",
        "tf_efficientnetv2_b0",
        "tf_efficientnetv2_s",
        "mobilenetv4_conv_small",
        "regnety_002",  # its activations are in its normalisation, and neighbours fit by name
    ],
)
def test_folding_reaches_every_batch_normalisation_and_changes_no_result(name: str) -> None:
    torch.manual_seed(0)
    trunk = TimmTrunk(TrunkConfig(name=name))
    _vary(trunk)
    trunk.double().eval()
    count = len(batch_norms(trunk))
    batch = torch.randn(1, 1, 64, 64).double()
    with torch.inference_mode():
        before = trunk(batch)
        assert fold_batch_norm(trunk) == count > 20
        assert not batch_norms(trunk)
        for one, other in zip(before, trunk(batch), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-7 * float(one.abs().max()))


@pytest.mark.parametrize("name", ["efficientnet_b0", "tf_efficientnetv2_b0"])
def test_folding_in_float32_rounds_only(name: str) -> None:
    torch.manual_seed(0)
    trunk = TimmTrunk(TrunkConfig(name=name)).train()
    with torch.inference_mode():
        trunk(torch.randn(2, 1, 64, 64))
        trunk.eval()
        batch = torch.randn(1, 1, 64, 64)
        before = trunk(batch)
        fold_batch_norm(trunk)
        for one, other in zip(before, trunk(batch), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_shifted_windows_see_beyond_their_borders() -> None:
    """Shifts must not be lost because an image is as small as one window."""
    trunk = TimmTrunk(TrunkConfig(name="swin_tiny_patch4_window7_224", stem_stride=2))
    shifts = [m.shift_size for m in trunk.modules() if hasattr(m, "shift_size")]
    assert [any(s) for s in shifts] == [False, True] * 6


def test_a_stride_of_the_stem_changes_no_weight() -> None:
    for name in SMALL:
        with torch.device("meta"):
            states = [
                TimmTrunk(TrunkConfig(name=name, stem_stride=stride)).state_dict()
                for stride in (1, 2)
            ]
        shapes = [{tensor: value.shape for tensor, value in state.items()} for state in states]
        assert shapes[0] == shapes[1]


def _updated(trunk: TimmTrunk) -> set[str]:
    """Names of the tensors that one step of training changes."""
    trunk.train()
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in trunk.parameters() if p.requires_grad], lr=1.0)
    torch.stack([m.square().mean() for m in trunk(torch.randn(2, 1, 64, 64))]).sum().backward()
    optimiser.step()
    after = trunk.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
def test_frozen_normalisation_stays_as_it_is_in_training(name: str) -> None:
    torch.manual_seed(0)
    trunk = TimmTrunk(TrunkConfig(name=name, norm="frozen"))
    norms = {
        f"{n}.{part}"
        for n, m in trunk.named_modules()
        if isinstance(m, nn.BatchNorm2d)
        for part in m.state_dict()
    }
    updated = _updated(trunk.train().eval().train())
    assert norms
    assert not updated & norms
    assert any("conv" in tensor for tensor in updated)
    trainable = _updated(TimmTrunk(TrunkConfig(name=name)))
    assert {tensor for tensor in norms if "running" in tensor} <= trainable
    assert any(tensor.endswith("bn1.bias") for tensor in norms & trainable)


@pytest.mark.parametrize(
    ("name", "stages", "frozen", "free"),
    [
        ("resnet18", 1, ("body.conv1.", "body.bn1."), "body.layer1."),
        ("resnet18", 2, ("body.conv1.", "body.bn1.", "body.layer1."), "body.layer2."),
        ("resnet18", 5, ("body.",), None),
        (
            "efficientnet_b0",
            2,
            ("body.conv_stem.", "body.bn1.", "body.blocks.0.", "body.blocks.1."),
            "body.blocks.2.",
        ),
        (
            "swin_tiny_patch4_window7_224",
            2,
            ("body.patch_embed.", "body.layers_0."),
            "body.layers_1.",
        ),
        ("focalnet_tiny_srf", 1, ("body.stem.",), "body.layers_0."),
    ],
)
def test_frozen_stages_stay_as_they_are_in_training(
    name: str, stages: int, frozen: tuple[str, ...], free: str | None
) -> None:
    torch.manual_seed(0)
    trunk = TimmTrunk(TrunkConfig(name=name, frozen_stages=stages))
    still = {n for n, p in trunk.named_parameters() if not p.requires_grad}
    assert still == {n for n in dict(trunk.named_parameters()) if n.startswith(frozen)}
    if free is not None:
        updated = _updated(trunk)
        assert any(n.startswith(free) for n in updated)
        assert not any(n.startswith(frozen) for n in updated)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "resnext50_32x4d"])
def test_group_normalisation_takes_the_place_of_all_batch_normalisation(name: str) -> None:
    torch.manual_seed(0)
    plain = TimmTrunk(TrunkConfig(name=name))
    grouped = TimmTrunk(TrunkConfig(name=name, norm="group"))
    count = [
        sum(isinstance(m, kind) for m in trunk.modules())
        for trunk, kind in ((plain, nn.BatchNorm2d), (grouped, nn.GroupNorm))
    ]
    assert count[0] == count[1] > 0
    assert not any(isinstance(m, nn.BatchNorm2d) for m in grouped.modules())
    # Activations that timm keeps in its normalisation layers are still there.
    acts = [
        sum(isinstance(m, (nn.ReLU, nn.SiLU)) for m in trunk.modules())
        for trunk in (plain, grouped)
    ]
    assert acts[0] == acts[1]
    one, two = torch.randn(2, 1, 1, 64, 64)
    grouped.train()
    together = grouped(torch.cat([one, two]))
    for level, alone in zip(together, grouped(one), strict=True):
        torch.testing.assert_close(level[:1], alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "swin_tiny_patch4_window7_224", "norm": "group"}, "no batch normalisation"),
        ({"name": "focalnet_tiny_srf", "norm": "frozen"}, "no batch normalisation"),
        ({"name": "resnet51"}, "timm cannot make the trunk resnet51"),
        ({"name": "vit_tiny_patch16_224"}, "strides 4, 8, 16 and 32"),
        ({"name": "efficientnet_b0", "widths": (16, 16, 16, 16)}, "timm cannot make the trunk"),
    ],
)
def test_what_a_trunk_cannot_do_is_said(changes: dict[str, object], sentence: str) -> None:
    with torch.device("meta"), pytest.raises(UserError, match=sentence):
        TimmTrunk(TrunkConfig.model_validate(changes))
