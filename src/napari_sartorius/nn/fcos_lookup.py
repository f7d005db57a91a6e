"""What a one-stage detector says of boxes that somebody else proposes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_sartorius.nn.detector import ScoredBoxes
from napari_sartorius.nn.fcos import boxes_at

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.fcos import FCOSMaps


def look_at_middles(
    maps: FCOSMaps,
    places: tuple[Tensor, ...],
    shapes: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    limits: tuple[float, ...],
    image: int,
    boxes: Tensor,
) -> ScoredBoxes:
    """What the place in the middle of each box says, of the level responsible for its size.

    Parameters
    ----------
    maps, places
        What the head says, and where.
    shapes, strides
        (rows, columns) and stride of each level.
    limits
        Distance to the farthest side up to which each level but the last is responsible.
    image
        Which one of the batch.
    boxes
        (N, 4) xyxy.

    Returns
    -------
    ScoredBoxes
        Probabilities (N, K + 1): roots of class times centerness, classes do not exclude each
        other, the background has what the best one leaves. Boxes (N, 1, 4) are the places' own.
    """
    where = torch.cat(places)
    starts = torch.tensor([0, *(len(p) for p in places)]).cumsum(0).to(boxes.device)
    longest = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
    level = torch.bucketize(longest / 2, where.new_tensor(limits))
    stride = where.new_tensor(strides)[level][:, None]
    last = torch.tensor(shapes, device=boxes.device)[level] - 1
    index = ((boxes[:, :2] + boxes[:, 2:]) / 2 / stride).floor().long().clamp(min=0)
    row, column = torch.minimum(index[:, 1], last[:, 0]), torch.minimum(index[:, 0], last[:, 1])
    place = starts[level] + row * (last[:, 1] + 1) + column
    classes, distances, centerness = (torch.cat(part, dim=1)[image, place] for part in maps)
    score = (classes.sigmoid() * centerness[:, None].sigmoid()).sqrt()
    probabilities = torch.cat([score, 1 - score.amax(dim=1, keepdim=True)], dim=1)
    return ScoredBoxes(probabilities, boxes_at(where[place], distances)[:, None])
