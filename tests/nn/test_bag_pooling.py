"""The CPU's RoIAlign gives torchvision's values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from napari_sartorius.nn.bag_pooling import bag_pool

_STRIDES = (2, 4, 8)


def _maps(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    torch.manual_seed(0)
    maps = [torch.randn(3, 5, 96 // s, 128 // s, dtype=dtype) for s in _STRIDES]
    return [m.to(memory_format=torch.channels_last).requires_grad_() for m in maps]


def _rois(count: int) -> Tensor:
    """Boxes of all sizes, some beyond the border or wholly outside, one without any area."""
    torch.manual_seed(1)
    corner = torch.rand(count, 2) * 150 - 20
    size = torch.exp(torch.rand(count, 2) * 4.5)
    size[0] = 0
    return torch.cat([torch.randint(0, 3, (count, 1)).float(), corner, corner + size], dim=1)


def _torchvision(
    maps: list[Tensor], level: Tensor, rois: Tensor, side: int, samples: int
) -> Tensor:
    pooled = torch.zeros(len(rois), 5, side, side)
    for i, stride in enumerate(_STRIDES):
        chosen = torch.nonzero(level == i).flatten()
        part = roi_align(maps[i], rois[chosen], (side, side), 1.0 / stride, samples, aligned=True)
        pooled = pooled.index_copy(0, chosen, part)
    return pooled


@pytest.mark.parametrize(("side", "samples"), [(7, 2), (14, 1), (3, 3)])
@pytest.mark.parametrize("count", [1, 40, 1100])  # more than one chunk
def test_values_and_gradients_are_torchvisions(side: int, samples: int, count: int) -> None:
    rois = _rois(count)
    level = torch.arange(count) % 3
    ours, theirs = _maps(), _maps()
    a = bag_pool(ours, _STRIDES, level, rois, side, samples)
    b = _torchvision(theirs, level, rois, side, samples)
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    torch.manual_seed(2)
    slope = torch.randn_like(b)
    (a * slope).sum().backward()
    (b * slope).sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        wanted = torch.zeros_like(other) if other.grad is None else other.grad
        torch.testing.assert_close(mine.grad, wanted, atol=1e-3, rtol=1e-3)


def test_half_precision_maps_are_summed_in_full_precision() -> None:
    rois = _rois(30)
    level = torch.zeros(30, dtype=torch.long)
    maps = _maps(torch.bfloat16)
    with torch.no_grad():
        half = bag_pool(maps, _STRIDES, level, rois, 7, 2)
        full = _torchvision([m.float() for m in maps], level, rois, 7, 2)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=1e-4, rtol=1e-4)


def test_no_boxes_give_an_empty_result_that_can_be_trained_through() -> None:
    maps = _maps()
    pooled = bag_pool(maps, _STRIDES, torch.zeros(0, dtype=torch.long), torch.zeros(0, 5), 7, 2)
    assert pooled.shape == (0, 5, 7, 7)
    pooled.sum().backward()
    assert maps[0].grad is not None
    assert float(maps[0].grad.abs().sum()) == 0
