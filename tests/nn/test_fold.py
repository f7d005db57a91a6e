"""Folding changes the work, not the result."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import MaskRCNNConfig, PyramidConfig, TrunkConfig
from napari_sartorius.nn.fold import fold_batch_norm


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_folded_network_gives_the_same_features(name: str) -> None:
    torch.manual_seed(0)
    widths = (16, 32, 48, 64) if name == "resnet18" else None
    config = MaskRCNNConfig(
        num_classes=1,
        trunk=TrunkConfig(name=name, widths=widths),
        pyramid=PyramidConfig(width=16),
    )
    network = build_network(config).train()
    # Statistics of their own, so that a wrong fold shows.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    network.eval()
    batch = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        before = network.features(batch)
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert fold_batch_norm(network) == norms > 20
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    with torch.inference_mode():
        after = network.features(batch)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fold_batch_norm(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))
