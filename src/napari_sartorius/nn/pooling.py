"""RoIAlign from several pyramid levels, each box from the level that suits its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torchvision.ops import roi_align

from napari_sartorius.nn.bag_pooling import bag_pool

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import PoolerConfig


def assign_levels(boxes: Tensor, canonical_size: float, levels: int) -> Tensor:
    """Pyramid level (N,) of each box, 0 is the finest (Lin et al. 2017, equation 1)."""
    size = torch.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    level = torch.floor(2 + torch.log2(size / canonical_size + 1e-8))
    return level.clamp(0, levels - 1).long()


def assign_levels_by_area(boxes: Tensor, areas: Tensor, levels: int) -> Tensor:
    """Pyramid level (N,) of each box, 0 is the finest (Lee and Park 2020, equation 2).

    Boxes of more than half of the picture's area are read from the coarsest level, of more than a
    quarter from the one below, and so on.

    Parameters
    ----------
    boxes
        (N, 4) xyxy; not limited to the picture.
    areas
        (N,) area of the picture of each.
    levels
        Number of levels.
    """
    size = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    level = torch.ceil(levels - 1 - torch.log2(areas / size))
    return level.clamp(0, levels - 1).long()


def pool_boxes(
    features: list[Tensor],
    strides: tuple[int, ...],
    boxes: list[Tensor],
    config: PoolerConfig,
    level: Tensor | None = None,
) -> Tensor:
    """Features (N, C, R, R) of all boxes of all images, in order.

    Parameters
    ----------
    features
        Pyramid levels (B, C, H_l, W_l), finest first; levels without a stride are not read.
    strides
        Stride of each level that may be read.
    boxes
        For each image (N_i, 4) xyxy float32 in network pixels.
    config
        Resolution, level rule, sampling and alignment.
    level
        (N,) level of each of the boxes of all images, where another rule than theirs holds.
    """
    counts = [len(b) for b in boxes]
    flat = torch.cat(boxes)
    image = torch.repeat_interleave(
        torch.arange(len(boxes), device=flat.device), torch.tensor(counts, device=flat.device)
    )
    rois = torch.cat([image[:, None].to(flat.dtype), flat], dim=1)
    if level is None:
        level = assign_levels(flat, config.canonical_size, len(strides))
    side = config.resolution
    if flat.device.type == "cpu" and config.aligned:
        used = list(features[: len(strides)])
        return bag_pool(used, strides, level, rois, side, config.sampling_ratio)
    pooled = features[0].new_zeros((len(flat), features[0].shape[1], side, side))
    for i, stride in enumerate(strides):
        chosen = torch.nonzero(level == i).flatten()
        if len(chosen):
            part = roi_align(
                features[i],
                rois[chosen],
                (side, side),
                spatial_scale=1.0 / stride,
                sampling_ratio=config.sampling_ratio,
                aligned=config.aligned,
            )
            pooled = pooled.index_copy(0, chosen, part.to(pooled.dtype))
    return pooled
