"""Our residual networks are timm's: same names, same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_sartorius.nn.config import TrunkConfig
from napari_sartorius.nn.trunks.build import build_trunk
from napari_sartorius.nn.trunks.resnet import PLAIN_RESNETS, ResNetTrunk
from napari_sartorius.nn.trunks.timm_trunk import TimmTrunk


@pytest.mark.parametrize(
    "config",
    [
        TrunkConfig(widths=(16, 32, 48, 64)),
        TrunkConfig(name="resnet34", in_channels=3, stem_stride=2),
        TrunkConfig(name="resnet50", in_channels=3, stem_stride=2, stride_in_1x1=True),
        TrunkConfig(name="resnet50", widths=(16, 32, 48, 64)),
    ],
)
def test_numbers_are_timms(config: TrunkConfig) -> None:
    torch.manual_seed(0)
    ours, theirs = build_trunk(config).eval(), TimmTrunk(config).eval()
    assert isinstance(ours, ResNetTrunk)
    assert ours.strides == theirs.strides
    assert ours.channels == theirs.channels
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    batch = torch.randn(2, config.in_channels, 64, 96)
    with torch.inference_mode():
        for mine, other in zip(ours(batch), theirs(batch), strict=True):
            assert torch.equal(mine, other)


@pytest.mark.parametrize("name", sorted(PLAIN_RESNETS))
def test_depths_are_timms(name: str) -> None:
    config = TrunkConfig(name=name, in_channels=3)
    with torch.device("meta"):
        ours, theirs = build_trunk(config).state_dict(), TimmTrunk(config).state_dict()
    assert {n: w.shape for n, w in ours.items()} == {n: w.shape for n, w in theirs.items()}


def test_training_starts_from_blocks_that_change_nothing() -> None:
    trunk = build_trunk(TrunkConfig(widths=(16, 16, 16, 16)))
    last = [m for n, m in trunk.named_modules() if n.endswith(".bn2")]
    assert len(last) == 8
    assert not any(torch.any(m.weight) for m in last)
    assert float(trunk.get_submodule("body.conv1").weight.detach().std()) > 0.01
