"""Lists of scored boxes of several looks become one list, and every box learns who else saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from napari_sartorius.ensemble.box_means import vote_columns
from napari_sartorius.nn.boxes import nonempty

if TYPE_CHECKING:
    from collections.abc import Sequence

# Boxes of one category that overlap at least this much show the same object.
_SAME_OBJECT = 0.5
# Boxes compared with all of one look at one time.
_CHUNK = 1024


class BoxList(NamedTuple):
    """Scored boxes of one image.

    Attributes
    ----------
    boxes, scores, labels
        (N, 4) xyxy, (N,) 0..1, (N,) int64.
    capped
        Whether a limit has probably cost wanted objects.
    rows
        (N,) int64, where each came from in what was joined; None where nothing was.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    capped: bool = False
    rows: Tensor | None = None


def concatenated(
    lists: Sequence[BoxList], nms: float, most: int, wanted: tuple[float, ...] = ()
) -> BoxList:
    """All boxes side by side, less those that overlap a better one of their category, best first.

    Parameters
    ----------
    lists
        One for each look; rows count through all of them.
    nms
        IoU, 0..1, above which the lower-scored of two boxes is dropped.
    most
        At most this many boxes.
    wanted
        Score per category from which losing a box to `most` is told; all when empty.
    """
    boxes = torch.cat([one.boxes for one in lists])
    scores = torch.cat([one.scores for one in lists])
    labels = torch.cat([one.labels for one in lists])
    valid = torch.nonzero(nonempty(boxes) & torch.isfinite(scores)).flatten()
    kept = valid[batched_nms(boxes[valid], scores[valid], labels[valid], nms)]
    lost, kept = kept[most:], kept[:most]
    if wanted:
        lost = lost[scores[lost] >= scores.new_tensor(wanted)[labels[lost]]]
    capped = any(one.capped for one in lists) or len(lost) > 0
    return BoxList(boxes[kept], scores[kept], labels[kept], capped, kept)


def votes_for(
    merged: BoxList, lists: Sequence[BoxList], models: Sequence[int], vote_score: float
) -> dict[str, Tensor]:
    """Columns that say which looks found each object.

    A look has found an object when one of its boxes of the same category overlaps it by an IoU of
    at least 0.5 and has a score of at least `vote_score`; the best of these scores is the look's.

    Parameters
    ----------
    merged
        Objects.
    lists
        What each look found.
    models
        Which network each look is of, from 0.
    vote_score
        0..1.

    Returns
    -------
    dict of str to (N,) float32
        ``members``, ``votes``, ``agreement`` and ``score_spread`` as
        `napari_sartorius.ensemble.looks` defines them, the spread being over looks that found it.
    """
    scores = torch.stack([_score_of_best(merged, one) for one in lists])
    found = scores >= max(vote_score, 1e-12)
    votes = found.sum(dim=0).float()
    mean = (scores * found).sum(dim=0) / votes.clamp(min=1)
    variance = ((scores - mean).square() * found).sum(dim=0) / votes.clamp(min=1)
    return vote_columns(found, models) | {"score_spread": variance.sqrt()}


def _score_of_best(merged: BoxList, one: BoxList) -> Tensor:
    """Best score (N,) of the boxes of a look that show each object; 0 where none does."""
    result = torch.zeros_like(merged.scores)
    if not len(one.scores):
        return result
    for start in range(0, len(result), _CHUNK):
        part = slice(start, start + _CHUNK)
        iou = box_iou(merged.boxes[part], one.boxes)
        iou = iou * (merged.labels[part, None] == one.labels)
        score = torch.where(iou >= _SAME_OBJECT, one.scores, torch.zeros_like(iou))
        result[part] = score.max(dim=1).values
    return result
