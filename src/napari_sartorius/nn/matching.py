"""Which true object each candidate box stands for, and which candidates a loss looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torchvision.ops import box_iou

if TYPE_CHECKING:
    from torch import Tensor

IGNORED, BACKGROUND = -2, -1


def match_boxes(
    candidates: Tensor,
    truth: Tensor,
    positive_iou: float,
    negative_iou: float,
    keep_best: bool = False,
) -> Tensor:
    """Index of the true box of each candidate.

    Parameters
    ----------
    candidates, truth
        (N, 4) and (G, 4) xyxy float32.
    positive_iou, negative_iou
        At or above the first a candidate is positive, below the second background, between them
        ignored.
    keep_best
        Also the best candidates of each true box are positive, however small their overlap.

    Returns
    -------
    Tensor
        (N,) int64: index into `truth`, `BACKGROUND` (-1) or `IGNORED` (-2).
    """
    if len(truth) == 0:
        return torch.full((len(candidates),), BACKGROUND, device=candidates.device)
    iou = box_iou(truth, candidates)
    best, index = iou.max(dim=0)
    matched = torch.where(best >= positive_iou, index, torch.full_like(index, IGNORED))
    matched[best < negative_iou] = BACKGROUND
    if keep_best:
        best_per_truth = iou.max(dim=1, keepdim=True).values
        rescued = ((iou == best_per_truth) & (best_per_truth > 0)).any(dim=0)
        matched[rescued] = index[rescued]
    return matched


def sample(matched: Tensor, count: int, positive_fraction: float) -> tuple[Tensor, Tensor]:
    """Random positives and negatives, at most `count` together.

    Returns
    -------
    tuple of Tensor
        Indices of positives, indices of negatives.
    """
    positive = torch.nonzero(matched >= 0).flatten()
    negative = torch.nonzero(matched == BACKGROUND).flatten()
    positive = _choose(positive, int(count * positive_fraction))
    negative = _choose(negative, count - len(positive))
    return positive, negative


def _choose(indices: Tensor, count: int) -> Tensor:
    if len(indices) <= count:
        return indices
    return indices[torch.randperm(len(indices), device=indices.device)[:count]]
