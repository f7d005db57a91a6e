"""Truth of one training image, and mask targets sampled from it in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def whole_image(label: int, size: Sequence[int]) -> Target:
    """Truth of an image of which only its type is known: one object as large as it, without mask.

    Parameters
    ----------
    label
        0-based.
    size
        Height and width in network pixels.
    """
    box = [[0, 0, size[1], size[0]]]
    return Target(
        torch.tensor(box, dtype=torch.float32),
        torch.tensor([label]),
        torch.zeros(0, dtype=torch.uint8),
        torch.zeros(1, dtype=torch.int64),
        torch.tensor(box),
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
    steps = (torch.arange(side, device=boxes.device, dtype=torch.float32) + 0.5) / side
    x = boxes[:, 0:1] + (boxes[:, 2:3] - boxes[:, 0:1]) * steps
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * steps
    value = truth_at(target, objects[:, None, None], x[:, None, :], y[:, :, None])
    return (value >= 0.5).float()


def truth_at(target: Target, objects: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear samples of the objects' bitmaps, 0 to 1 float32; zero outside of them.

    Parameters
    ----------
    target
        The truth of the image.
    objects
        Index of the object that each sample is of.
    x, y
        Places in network pixels. All three shapes must fit each other by broadcasting.
    """
    place = target.bitmap_boxes[objects]
    x0_box, y0_box, x1_box, y1_box = place.unbind(-1)
    width, height = x1_box - x0_box, y1_box - y0_box
    x = x / target.scale[0] - x0_box - 0.5  # bitmap index whose pixel centre lies at x
    y = y / target.scale[1] - y0_box - 0.5
    x0, y0 = x.floor(), y.floor()
    weight_x, weight_y = x - x0, y - y0
    start = target.offsets[objects]

    def bits_at(column: Tensor, row: Tensor) -> Tensor:
        inside = ((row >= 0) & (row < height)) & ((column >= 0) & (column < width))
        flat = start + row.long().clamp(min=0) * width + column.long().clamp(min=0)
        flat = torch.where(inside, flat, start)
        return target.bits[flat].float() * inside

    top = bits_at(x0, y0) * (1 - weight_x) + bits_at(x0 + 1, y0) * weight_x
    bottom = bits_at(x0, y0 + 1) * (1 - weight_x) + bits_at(x0 + 1, y0 + 1) * weight_x
    return top * (1 - weight_y) + bottom * weight_y
