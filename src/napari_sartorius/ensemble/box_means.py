"""Means of what several looks say of the same boxes, and how much the looks differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sartorius.nn.detector import ScoredBoxes

if TYPE_CHECKING:
    from collections.abc import Sequence


def best_of_each_box(scored: ScoredBoxes) -> ScoredBoxes:
    """Boxes with the box and probability of their best category alone; others get zero.

    Parameters
    ----------
    scored
        Probabilities (N, K + 1), background last, and boxes (N, K or 1, 4).
    """
    objects = scored.probabilities[:, :-1]
    best = objects.max(dim=1)
    alone = torch.zeros_like(scored.probabilities)
    alone.scatter_(1, best.indices[:, None], best.values[:, None])
    boxes = scored.boxes
    if boxes.shape[1] > 1:
        boxes = boxes[torch.arange(len(boxes), device=boxes.device), best.indices][:, None]
    return ScoredBoxes(alone, boxes)


def look_columns(scores: Tensor, models: Sequence[int], vote_score: float) -> dict[str, Tensor]:
    """Columns that say how the looks at an object agree.

    Parameters
    ----------
    scores
        (L, N) float32, 0..1, the probability that each look gives the category of each object.
    models
        Which network each look is of, from 0.
    vote_score
        From this probability on a look has found the object.

    Returns
    -------
    dict of str to (N,) float32
        ``members``, ``votes``, ``agreement`` and ``score_spread`` as
        `napari_sartorius.ensemble.looks` defines them, the spread being over all looks.
    """
    found = scores >= vote_score
    spread = (scores - scores.mean(dim=0)).square().mean(dim=0).sqrt()
    return vote_columns(found, models) | {"score_spread": spread}


def vote_columns(found: Tensor, models: Sequence[int]) -> dict[str, Tensor]:
    """How many looks and networks found each object.

    Parameters
    ----------
    found
        (L, N) bool, whether each look found each object.
    models
        Which network each look is of, from 0.
    """
    votes = found.sum(dim=0).float()
    by_model = votes.new_zeros((max(models) + 1, len(votes)))
    by_model.index_add_(0, torch.tensor(models, device=found.device), found.float())
    return {
        "members": (by_model > 0).sum(dim=0).float(),
        "votes": votes,
        "agreement": votes / len(found),
    }
