"""The max pooling of residual networks, as two passes where nothing has to be learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def largest_nearby(maps: Tensor) -> Tensor:
    """Largest value of every 3x3 window of stride 2, padded by one.

    Parameters
    ----------
    maps
        (B, C, H, W).

    Returns
    -------
    Tensor
        (B, C, ceil(H / 2), ceil(W / 2)).
    """
    if torch.is_grad_enabled() and maps.requires_grad:
        return functional.max_pool2d(maps, 3, stride=2, padding=1)
    # torch's kernel also notes where each one was, which only gradients need.
    return _halved(_halved(maps, 2), 3)


def _halved(maps: Tensor, axis: int) -> Tensor:
    """Largest of each value at an even place along one axis and its two neighbours."""
    even, odd = _every_second(maps, axis, 0), _every_second(maps, axis, 1)
    if even.shape[axis] == odd.shape[axis]:
        largest = torch.maximum(even, odd)
    else:
        largest = even.clone(memory_format=torch.preserve_format)
        before_odd = largest.narrow(axis, 0, odd.shape[axis])
        torch.maximum(before_odd, odd, out=before_odd)
    after_odd = largest.narrow(axis, 1, even.shape[axis] - 1)
    torch.maximum(after_odd, odd.narrow(axis, 0, even.shape[axis] - 1), out=after_odd)
    return largest


def _every_second(maps: Tensor, axis: int, first: int) -> Tensor:
    return maps[:, :, first::2] if axis == 2 else maps[:, :, :, first::2]
