"""What the places of the feature maps are taught: class, distances and centerness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from napari_sartorius.nn.fcos import boxes_at

if TYPE_CHECKING:
    from napari_sartorius.nn.config import FCOSConfig
    from napari_sartorius.nn.fcos import FCOSMaps
    from napari_sartorius.nn.targets import Target


def assign_places(
    boxes: Tensor, shapes: tuple[tuple[int, int], ...], strides: tuple[int, ...], config: FCOSConfig
) -> tuple[Tensor, Tensor]:
    """Which places learn which true box.

    A place learns a box when it lies inside it, within `centre_radius` strides of its middle, and
    the box's farthest side is in the range of the place's level; of several boxes the smallest.
    Only the few places around each middle are looked at.

    Parameters
    ----------
    boxes
        (G, 4) xyxy, the true ones.
    shapes, strides
        (rows, columns) and stride of each level.
    config
        Radius and the limits between levels.

    Returns
    -------
    tuple of Tensor
        (N,) int64 place, counted through all levels, each once; (N,) int64 true box.
    """
    limits = (0.0, *config.level_limits, math.inf)
    reach = math.ceil(config.centre_radius)
    steps = torch.arange(1 - reach, reach + 1, device=boxes.device)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    found_places, found_objects = [], []
    start = 0
    for level, ((rows, columns), stride) in enumerate(zip(shapes, strides, strict=True)):
        first = torch.floor((centre - stride // 2) / stride).long()
        column = (first[:, 0:1] + steps)[:, None, :].expand(-1, len(steps), -1)
        row = (first[:, 1:2] + steps)[:, :, None].expand(-1, -1, len(steps))
        x, y = (column * stride + stride // 2).float(), (row * stride + stride // 2).float()
        sides = torch.stack(
            [
                x - boxes[:, 0, None, None],
                y - boxes[:, 1, None, None],
                boxes[:, 2, None, None] - x,
                boxes[:, 3, None, None] - y,
            ],
            dim=-1,
        )
        off = torch.maximum(
            (x - centre[:, 0, None, None]).abs(), (y - centre[:, 1, None, None]).abs()
        )
        farthest = sides.amax(dim=-1)
        learns = (sides.amin(dim=-1) > 0) & (off < config.centre_radius * stride)
        learns &= (farthest >= limits[level]) & (farthest <= limits[level + 1])
        learns &= (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        found_places.append((start + row * columns + column)[learns])
        found_objects.append(torch.nonzero(learns)[:, 0])
        start += rows * columns
    return _smallest(torch.cat(found_places), torch.cat(found_objects), boxes, start)


def _smallest(places: Tensor, objects: Tensor, boxes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Each place once, with the smallest of its boxes."""
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))[objects]
    least = area.new_full((count,), math.inf).scatter_reduce(0, places, area, "amin")
    winner = area == least[places]
    owner = torch.full((count,), len(boxes), device=boxes.device)
    owner = owner.scatter_reduce(0, places[winner], objects[winner], "amin")
    chosen = torch.nonzero(owner < len(boxes)).flatten()
    return chosen, owner[chosen]


def fcos_losses(
    maps: FCOSMaps,
    places: tuple[Tensor, ...],
    shapes: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    targets: list[Target],
    config: FCOSConfig,
) -> dict[str, Tensor]:
    """Focal loss of the classes, IoU loss of the boxes weighed by centerness, and centerness.

    Class and centerness losses are divided by the number of places that learn an object, box
    losses by the sum of their centerness, over the whole batch (Tian et al. 2019).

    Parameters
    ----------
    maps, places
        What the head says, and where.
    shapes, strides
        (rows, columns) and stride of each level.
    targets
        Truth of each image.
    config
        Assignment and losses.
    """
    classes, where = torch.cat(maps.classes, dim=1), torch.cat(places)
    distances, centerness = torch.cat(maps.distances, dim=1), torch.cat(maps.centerness, dim=1)
    wanted = torch.zeros_like(classes)
    at, given, true, middle = [], [], [], []
    for image, target in enumerate(targets):
        place, owner = assign_places(target.boxes, shapes, strides, config)
        wanted[image, place, target.labels[owner]] = 1
        at.append(where[place])
        given.append(boxes_at(at[-1], distances[image, place]))
        true.append(target.boxes[owner])
        middle.append(centerness[image, place])
    true_boxes = torch.cat(true)
    near = centerness_of(torch.cat(at), true_boxes)
    count = max(1, len(near))
    focal = sigmoid_focal_loss(
        classes, wanted, config.focal_alpha, config.focal_gamma, reduction="sum"
    )
    apart = generalized_box_iou_loss(torch.cat(given), true_boxes)
    return {
        "class": focal / count,
        "box": (apart * near).sum() / near.sum().clamp(min=1e-6),
        "centerness": functional.binary_cross_entropy_with_logits(
            torch.cat(middle), near, reduction="sum"
        )
        / count,
    }


def centerness_of(places: Tensor, boxes: Tensor) -> Tensor:
    """How close places (N, 2) are to the middle of the boxes (N, 4) they lie in, 0..1."""
    low, high = places - boxes[:, :2], boxes[:, 2:] - places
    return (torch.minimum(low, high) / torch.maximum(low, high)).prod(dim=1).clamp(min=0).sqrt()
