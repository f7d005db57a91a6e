"""Max pooling in two passes gives what torch gives, in every size and arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_sartorius.nn.largest import largest_nearby


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 3), (7, 8), (8, 8), (9, 13)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_windows_hold_the_same_values_as_torchs(
    size: tuple[int, int], dtype: torch.dtype, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 5, *size).to(dtype).contiguous(memory_format=layout)
    before = maps.clone()
    wanted = functional.max_pool2d(maps, 3, stride=2, padding=1)
    with torch.inference_mode():
        given = largest_nearby(maps)
    assert torch.equal(given, wanted)
    assert torch.equal(maps, before)
    assert given.is_contiguous(memory_format=layout)


def test_gradients_are_those_of_activation_before_pooling() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 6, 9, 12)
    maps[0, 0] = -1.0  # a channel without anything above zero
    one, other = maps.clone().requires_grad_(), maps.clone().requires_grad_()
    ours = functional.relu(largest_nearby(one))
    usual = functional.max_pool2d(functional.relu(other), 3, stride=2, padding=1)
    slope = torch.randn_like(usual)
    (ours * slope).sum().backward()
    (usual * slope).sum().backward()
    assert torch.equal(ours, usual)
    assert one.grad is not None
    assert other.grad is not None
    assert torch.equal(one.grad, other.grad)
