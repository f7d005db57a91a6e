"""Boxes that the box heads of a two-stage detector learn from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class BoxSample(NamedTuple):
    """Boxes that a box head learns from, one entry for each image.

    Attributes
    ----------
    boxes, truth
        (N, 4) xyxy; `truth` is read where the label is no background.
    labels
        (N,) int64, the number of classes for background.
    """

    boxes: list[Tensor]
    labels: list[Tensor]
    truth: list[Tensor]

    def joined(self) -> tuple[Tensor, Tensor, Tensor]:
        """Labels, boxes and truth of all images, as the loss wants them."""
        return torch.cat(self.labels), torch.cat(self.boxes), torch.cat(self.truth)
