"""Which of the scored boxes of an image are its objects: detectron2's rules under our limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from napari_sartorius.nn.boxes import clip_boxes, nonempty

if TYPE_CHECKING:
    from napari_sartorius.nn.detector import DetectLimits, Proposals, ScoredBoxes


class BestBoxes(NamedTuple):
    """Final boxes of one image.

    Attributes
    ----------
    boxes
        (N, 4) float32 xyxy inside the image, best score first.
    scores, labels
        (N,) float32, and (N,) int64 0-based categories.
    rows
        (N,) int64, which of the scored boxes each came from.
    capped
        Whether a limit has probably cost wanted objects.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    rows: Tensor
    capped: bool


def keep_best(
    scored: ScoredBoxes,
    proposals: Proposals,
    image_size: tuple[int, int],
    limits: DetectLimits,
    class_agnostic: bool = False,
) -> BestBoxes:
    """Clip, threshold every class of every box, NMS per class, best first.

    Parameters
    ----------
    scored
        One row for each proposal, background last.
    proposals
        What was scored; an end that still shows new objects counts as a limit reached.
    image_size
        (height, width), pixels.
    limits
        What may drop an object.
    class_agnostic
        Whether boxes of different classes drop each other.
    """
    probabilities = scored.probabilities[:, :-1]
    boxes = clip_boxes(scored.boxes, image_size)
    row, label = torch.nonzero(probabilities > limits.score, as_tuple=True)
    score = probabilities[row, label]
    box = boxes[row, label if boxes.shape[1] > 1 else torch.zeros_like(label)]
    valid = nonempty(box) & torch.isfinite(score)
    box, score, label, row = box[valid], score[valid], label[valid], row[valid]
    group = torch.zeros_like(label) if class_agnostic else label
    kept = batched_nms(box, score, group, limits.nms)
    best = kept[: limits.max_detections]
    wanted = torch.ones_like(score, dtype=torch.bool)
    if limits.wanted:
        wanted = score >= score.new_tensor(limits.wanted)[label]
    capped = len(kept) > len(best) and bool(wanted[kept[len(best) :]].any())
    if proposals.capped and not capped:
        late = row >= _LATE * len(proposals.boxes)
        capped = _reaches_end(best[wanted[best]], late, box, group, limits.nms)
    return BestBoxes(box[best], score[best], label[best], row[best], capped)


# Proposals after this share of a list that was cut are its end.
_LATE = 0.95
# More than this share of the objects, and more than so many, must be found at the end only. On
# dense phase contrast 1 % goes with a twentieth of the objects missing; a fifth is missing at 3 %.
_LATE_SHARE, _LATE_COUNT = 0.01, 2


def _reaches_end(best: Tensor, late: Tensor, box: Tensor, label: Tensor, nms: float) -> bool:
    """Whether objects were still being found where the list of proposals was cut.

    Far more boxes are proposed than there are objects, best first, so cutting the list matters
    only when objects are found up to its end. An object counts when the end alone shows it: most
    of those that come from there are shown by earlier proposals too and would not be missing.

    Parameters
    ----------
    best : (N,) int64
        Final objects, as rows of the following.
    late : (M,) bool
        Which boxes come from the end of the list.
    box, label : (M, 4) float32, (M,) int64
        All boxes above the score limit, and their categories.
    nms
        Boxes of one category that overlap more than this show the same object.
    """
    least = max(_LATE_COUNT, _LATE_SHARE * len(best))
    at_end = best[late[best]]
    if len(at_end) <= least:
        return False
    alike = (box_iou(box[at_end], box) > nms) & (label[at_end, None] == label)
    alone = ~(alike & ~late).any(dim=1)
    return int(alone.sum()) > least
