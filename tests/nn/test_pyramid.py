"""Levels above the coarsest map of a pyramid."""

from __future__ import annotations

import torch
from torch import nn

from napari_sartorius.nn.pyramid import TopLevels


def test_a_single_pixel_gives_whole_gradients_in_bfloat16() -> None:
    torch.manual_seed(0)
    top = TopLevels(32, 2).to(memory_format=torch.channels_last)
    for _ in range(20):
        # Freed memory full of such numbers is what the next gradient is put into.
        junk = [torch.full((1 << power,), float("nan")) for power in range(6, 18)]
        del junk
        top.zero_grad()
        coarsest = torch.randn(2, 32, 2, 2).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            levels = top(coarsest)
        torch.stack([level.float().sum() for level in levels]).sum().backward()
        gradients = [conv.weight.grad for conv in top.convs if isinstance(conv, nn.Conv2d)]
        assert all(one is not None and torch.isfinite(one).all() for one in gradients)
        assert gradients[1] is not None
        ring = gradients[1].clone()
        ring[:, :, 1, 1] = 0
        assert not ring.any()  # of a single pixel only the middle of the kernel sees something
