"""What a deformable convolution sees, as one weighted gather.

Every value that a tap reads is a weighted sum of four feature vectors. That is what an embedding
bag computes, and its kernel reads whole vectors and uses all threads, where torchvision's walks one
channel at a time on one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

_TAPS = 9


def gathered_taps(values: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Values at the nine taps of every pixel, bilinear, zero outside the map.

    Parameters
    ----------
    values
        (B, C, H, W) float32.
    offsets
        (B, G * 18, H, W) float32: (dy, dx) of the nine taps of each group, in pixels beside the
        regular place.
    weights
        (B, G * 9, H, W) float32: what each tap is multiplied with.

    Returns
    -------
    Tensor
        (B, G, H * W, 9 * C / G) float32: for each pixel tap after tap.
    """
    batch, channels, height, width = values.shape
    groups = weights.shape[1] // _TAPS
    inner = channels // groups
    # Channels last already puts a pixel's values side by side; only groups are set apart.
    pixels = values.permute(0, 2, 3, 1).reshape(batch, -1, groups, inner)
    rows = pixels.transpose(1, 2).reshape(-1, inner)

    beside = offsets.view(batch, groups, _TAPS, 2, height, width).permute(3, 0, 1, 4, 5, 2)
    tap_y = torch.arange(3).repeat_interleave(3) - 1
    tap_x = torch.arange(3).repeat(3) - 1
    y = beside[0] + (torch.arange(height).view(-1, 1, 1) + tap_y)
    x = beside[1] + (torch.arange(width).view(-1, 1) + tap_x)
    top, bottom, at_top, at_bottom = _neighbours(y, height)
    left, right, at_left, at_right = _neighbours(x, width)
    factor = weights.view(batch, groups, _TAPS, height, width).permute(0, 1, 3, 4, 2)
    at_top, at_bottom = at_top * factor, at_bottom * factor
    start = torch.arange(batch * groups, dtype=torch.int32) * (height * width)
    start = start.view(batch, groups, 1, 1, 1)
    top, bottom = top * width + start, bottom * width + start
    index = torch.stack([top + left, top + right, bottom + left, bottom + right], dim=-1)
    share = torch.stack(
        [at_top * at_left, at_top * at_right, at_bottom * at_left, at_bottom * at_right], dim=-1
    )
    sums = functional.embedding_bag(
        index.view(-1, 4), rows, per_sample_weights=share.view(-1, 4), mode="sum"
    )
    return sums.view(batch, groups, height * width, _TAPS * inner)


def _neighbours(position: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Indices before and after, inside the map, and their linear weights, 0 outside it."""
    before = position.floor()
    fraction = position - before
    # Limited before it becomes a whole number: an offset may be anything.
    first = before.clamp(-2, length).int()
    second = first + 1
    near = (1 - fraction) * ((first >= 0) & (first < length))
    far = fraction * ((second >= 0) & (second < length))
    return first.clamp(0, length - 1), second.clamp(0, length - 1), near, far
