"""Box arithmetic with detectron2's conventions: pixel edges, deltas as (dx, dy, dw, dh)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

# A box grows by at most 1000 / 16 in one refinement: exp() of a wild delta must not overflow.
_MAX_LOG_GROWTH = math.log(1000.0 / 16)


def encode_deltas(anchors: Tensor, boxes: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Deltas (N, 4) that move `anchors` (N, 4) xyxy onto `boxes` (N, 4) xyxy."""
    size, centre = anchors[:, 2:] - anchors[:, :2], (anchors[:, :2] + anchors[:, 2:]) / 2
    target_size, target_centre = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    shift = (target_centre - centre) / size
    growth = torch.log(target_size / size)
    return torch.cat([shift, growth], dim=1) * anchors.new_tensor(weights)


def apply_deltas(anchors: Tensor, deltas: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Boxes (N, k, 4) from anchors (N, 4) and k sets of deltas (N, k * 4)."""
    # Not reshape(n, -1, 4), which cannot guess the middle when there are no boxes.
    deltas = deltas.float().reshape(len(anchors), deltas.shape[1] // 4, 4)
    deltas = deltas / deltas.new_tensor(weights)
    size = (anchors[:, 2:] - anchors[:, :2])[:, None]
    centre = anchors[:, None, :2] + 0.5 * size
    centre = centre + deltas[..., :2] * size
    half = torch.exp(deltas[..., 2:].clamp(max=_MAX_LOG_GROWTH)) * size * 0.5
    return torch.cat([centre - half, centre + half], dim=-1)


def clip_boxes(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) xyxy limited to an image of (height, width)."""
    height, width = image_size
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limit)


def nonempty(boxes: Tensor) -> Tensor:
    """Which of (N, 4) boxes have a positive width and height."""
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
