"""Folding changes the work, not the result."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_sartorius.nn.box_head import BoxHead
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import BoxHeadConfig, MaskRCNNConfig, PyramidConfig, TrunkConfig
from napari_sartorius.nn.fold import flatten_in_memory_order, fold_batch_norm


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


@pytest.mark.parametrize("layers", [1, 2])
def test_box_heads_read_memory_order_with_the_same_result(layers: int) -> None:
    torch.manual_seed(0)
    head = BoxHead(8, 2, BoxHeadConfig(width=16, layers=layers)).eval()
    pooled = torch.randn(5, 8, 7, 7).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        before = head(pooled)
    assert flatten_in_memory_order(nn.Sequential(head)) == 1
    with torch.inference_mode():
        after = head(pooled), head(pooled.contiguous())
    for given in after:
        torch.testing.assert_close(given, before, rtol=1e-4, atol=1e-6)
