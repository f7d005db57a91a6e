"""Boxes that the mask heads of a one-stage detector learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_sartorius.nn.mask_iou_head import object_areas
from napari_sartorius.nn.matching import match_boxes, sample
from napari_sartorius.nn.targets import mask_targets

if TYPE_CHECKING:
    from napari_sartorius.nn.config import AttentiveMaskHeadConfig
    from napari_sartorius.nn.targets import Target


class MaskSample(NamedTuple):
    """What the mask heads learn from one image.

    Attributes
    ----------
    boxes, labels
        (N, 4) and (N,).
    truth
        (N, M, M) 0 or 1: true masks seen through the boxes.
    areas
        (N,) of the whole objects, network pixels.
    """

    boxes: Tensor
    labels: Tensor
    truth: Tensor
    areas: Tensor

    @classmethod
    def of(cls, found: Tensor, target: Target, config: AttentiveMaskHeadConfig) -> MaskSample:
        """Some of the found boxes (N, 4) that show an object; the true ones are candidates too."""
        candidates = torch.cat([found, target.boxes])
        matched = match_boxes(candidates, target.boxes, config.positive_iou, config.positive_iou)
        chosen, _ = sample(matched, config.batch_per_image, 1.0)
        boxes, objects = candidates[chosen], matched[chosen]
        truth = mask_targets(target, boxes, objects, 2 * config.pooler.resolution)
        return cls(boxes, target.labels[objects], truth, object_areas(target)[objects])
