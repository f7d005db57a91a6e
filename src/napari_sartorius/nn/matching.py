"""Which true object each candidate box stands for, and which candidates a loss looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torchvision.ops import box_area, box_iou

if TYPE_CHECKING:
    from torch import Tensor

IGNORED, BACKGROUND = -2, -1


def match_boxes(
    candidates: Tensor,
    truth: Tensor,
    positive_iou: float,
    negative_iou: float,
) -> Tensor:
    """Index of the true box of each candidate.

    Parameters
    ----------
    candidates, truth
        (N, 4) and (G, 4) xyxy float32.
    positive_iou, negative_iou
        At or above the first a candidate is positive, below the second background, between them
        ignored.

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
    return matched


def match_pairs(
    anchors: Tensor,
    truth: Tensor,
    pairs: tuple[Tensor, Tensor],
    positive_iou: float,
    negative_iou: float,
) -> Tensor:
    """What `match_boxes` gives, from the overlapping pairs alone, and no true box left out.

    The best anchors of each true box are positive too, however small their overlap. Anchors
    overlap few of an image's objects, so this reads a small part of the full matrix.

    Parameters
    ----------
    anchors, truth
        (N, 4) and (G, 4) xyxy float32.
    pairs
        (P,) index into `anchors` and (P,) index into `truth`; every pair that overlaps.
    positive_iou, negative_iou
        As for `match_boxes`.

    Returns
    -------
    Tensor
        (N,) int64: index into `truth`, `BACKGROUND` (-1) or `IGNORED` (-2).
    """
    matched = torch.full((len(anchors),), BACKGROUND, device=anchors.device)
    candidate, owner = pairs
    if len(candidate) == 0:
        return matched
    iou = _pairwise_iou(truth[owner], anchors[candidate])
    best = iou.new_zeros(len(anchors)).scatter_reduce(0, candidate, iou, "amax")
    best_per_truth = iou.new_zeros(len(truth)).scatter_reduce(0, owner, iou, "amax")
    winner = (iou == best[candidate]) & (iou > 0)
    index = torch.full_like(matched, len(truth))
    index = index.scatter_reduce(0, candidate[winner], owner[winner], "amin")
    matched[best >= negative_iou] = IGNORED
    positive = best >= positive_iou
    rescued = candidate[(iou == best_per_truth[owner]) & (iou > 0)]
    positive[rescued] = True
    return torch.where(positive, index, matched)


def _pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU (P,) of boxes (P, 4) with their partners, rounded as `box_iou` does."""
    sides = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    overlap = sides[:, 0] * sides[:, 1]
    iou: Tensor = overlap / (box_area(a) + box_area(b) - overlap)
    return iou


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
