"""Means of what several looks say of the same boxes, and how much the looks differ."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_sartorius.nn.detector import ScoredBoxes


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


def look_columns(scores: Tensor, models: Tensor, vote_score: float) -> dict[str, Tensor]:
    """Columns that say how the looks at an object agree.

    Parameters
    ----------
    scores
        (L, N) float32, 0..1, the probability that each look gives the category of each object.
    models
        (L,) int64, which network each look is of.
    vote_score
        From this probability on a look has found the object.

    Returns
    -------
    dict of str to (N,) float32
        ``members``, ``votes``, ``agreement`` and ``score_spread`` as
        `napari_sartorius.ensemble.looks` defines them, the spread being over all looks.
    """
    found = scores >= vote_score
    votes = found.sum(dim=0).float()
    count = int(models.max()) + 1
    by_model = scores.new_zeros((count, scores.shape[1])).index_add(0, models, found.float())
    return {
        "members": (by_model > 0).sum(dim=0).float(),
        "votes": votes,
        "agreement": votes / len(scores),
        "score_spread": scores.std(dim=0, correction=0),
    }
