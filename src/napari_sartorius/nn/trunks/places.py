"""What channels weigh on the average of a map, which the processor is slow to find in bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def mean_of_places(maps: Tensor) -> Tensor:
    """Mean (B, C, 1, 1) over the places of maps (B, C, H, W).

    The processor's sum of bfloat16 along all but the fastest axis is slow, its product with a row
    of ones is not; both add up in float32.
    """
    if maps.device.type != "cpu" or maps.dtype != torch.bfloat16:
        return maps.mean((2, 3), keepdim=True)
    places = maps.permute(0, 2, 3, 1).flatten(1, 2)
    total = places.new_ones((1, 1, places.shape[1])) @ places
    return (total / places.shape[1]).permute(0, 2, 1)[..., None]
