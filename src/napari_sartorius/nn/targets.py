"""Truth of one training image, and mask targets sampled from it in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Target:
    """The true objects of one crop.

    Attributes
    ----------
    boxes
        (G, 4) float32 xyxy in network pixels.
    labels
        (G,) int64, 0-based.
    bits
        Flat uint8: the objects' bitmaps (0 or 1) in source pixels, back to back.
    offsets
        (G,) int64: where each bitmap starts in `bits`.
    bitmap_boxes
        (G, 4) int64 xyxy: each bitmap's place in source pixels.
    scale
        Network pixels per source pixel, (x, y). Masks stay in source pixels so that resizing a
        crop never resamples them.
    """

    boxes: Tensor
    labels: Tensor
    bits: Tensor
    offsets: Tensor
    bitmap_boxes: Tensor
    scale: tuple[float, float] = (1.0, 1.0)

    def to(self, device: torch.device) -> Target:
        """The same truth on another device."""
        return Target(
            self.boxes.to(device),
            self.labels.to(device),
            self.bits.to(device),
            self.offsets.to(device),
            self.bitmap_boxes.to(device),
            self.scale,
        )


def mask_targets(target: Target, boxes: Tensor, objects: Tensor, side: int) -> Tensor:
    """True masks of `objects` seen through `boxes`, as a loss compares them.

    Bilinear samples at the centres of a side x side grid, thresholded at one half; zero outside
    the bitmap. All objects are read from the flat buffer in one gather.

    Parameters
    ----------
    target
        The truth of the image.
    boxes
        (N, 4) xyxy in network pixels.
    objects
        (N,) index of the true object of each box.
    side
        Size of the square targets.

    Returns
    -------
    Tensor
        (N, side, side) float32, 0 or 1.
    """
    place = target.bitmap_boxes[objects]
    width, height = place[:, 2] - place[:, 0], place[:, 3] - place[:, 1]
    steps = (torch.arange(side, device=boxes.device, dtype=torch.float32) + 0.5) / side
    x = (boxes[:, 0:1] + (boxes[:, 2:3] - boxes[:, 0:1]) * steps) / target.scale[0]
    y = (boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * steps) / target.scale[1]
    x = x - place[:, 0:1] - 0.5  # bitmap index whose pixel centre lies at x
    y = y - place[:, 1:2] - 0.5
    x0, y0 = x.floor(), y.floor()
    weight_x, weight_y = x - x0, y - y0
    start = target.offsets[objects][:, None, None]

    def bits_at(column: Tensor, row: Tensor) -> Tensor:
        inside_x = (column >= 0) & (column < width[:, None])
        inside_y = (row >= 0) & (row < height[:, None])
        column = column.long().clamp(min=0)
        row = row.long().clamp(min=0)
        flat = start + row[:, :, None] * width[:, None, None] + column[:, None, :]
        inside = inside_y[:, :, None] & inside_x[:, None, :]
        flat = torch.where(inside, flat, start)
        return target.bits[flat].float() * inside

    top = bits_at(x0, y0) * (1 - weight_x)[:, None] + bits_at(x0 + 1, y0) * weight_x[:, None]
    bottom = (
        bits_at(x0, y0 + 1) * (1 - weight_x)[:, None] + bits_at(x0 + 1, y0 + 1) * weight_x[:, None]
    )
    value = top * (1 - weight_y)[:, :, None] + bottom * weight_y[:, :, None]
    return (value >= 0.5).float()
