"""The originals of the fusion strategies, written plainly from their descriptions.

Masks are full frames and every object is compared with every cluster, as in the notebooks and
repositories that they come from; filters that the originals apply in the same loop are left out,
because ours are elsewhere too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Boxes = NDArray[np.float64]
    Frames = NDArray[np.uint8]


def _iou(boxes: Boxes, box: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    overlap: NDArray[np.float64] = shared / (area + (box[2:] - box[:2]).prod() - shared)
    return overlap


def fused_boxes(
    boxes: Boxes, scores: NDArray[np.float64], iou: float
) -> tuple[Boxes, list[list[int]]]:
    """Greedy clusters with a running score-weighted mean, all boxes of one label."""
    means = np.empty((0, 4))
    members: list[list[int]] = []
    for i in np.argsort(-scores).tolist():
        if len(means):
            overlap = _iou(means, boxes[i])
            winner = int(overlap.argmax())
            if overlap[winner] > iou:
                members[winner].append(i)
                own = members[winner]
                means[winner] = (boxes[own] * scores[own, None]).sum(0) / scores[own].sum()
                continue
        means = np.vstack([means, boxes[i]])
        members.append([i])
    return means, members


def weighted_segments(
    boxes: Boxes, scores: NDArray[np.float64], frames: Frames, iou: float = 0.55
) -> list[Any]:
    """Votes of the members' full frames inside each fused box (mistag's notebook)."""
    means, members = fused_boxes(boxes, scores, iou)
    # The notebook finds the mask of a member by its rounded box as text.
    index = {str(np.round(box, 6)): i for i, box in enumerate(boxes)}
    result = []
    for box, own in zip(means, members, strict=True):
        votes = np.zeros(frames.shape[1:], np.float64)
        for member in own:
            votes += frames[index[str(np.round(boxes[member], 6))]]
        fused = votes >= max(1, int(0.5 * len(own)))
        x0, y0, x1, y1 = np.floor(box).astype(int)
        inside = np.zeros_like(fused)
        inside[y0:y1, x0:x1] = fused[y0:y1, x0:x1]
        result.append(inside)
    return result


def weighted_masks(
    boxes: Boxes, scores: NDArray[np.float64], frames: Frames, iou: float = 0.7
) -> list[Any]:
    """Score-weighted means of full frames, cut at one half (Weighted-Masks-Fusion)."""
    _, members = fused_boxes(boxes, scores, iou)
    result = []
    for own in members:
        total = np.zeros(frames.shape[1:], np.float64)
        for member in own:
            total += scores[member] * frames[member]
        result.append(total / scores[own].sum() >= 0.5)
    return result


def mask_clusters(scores: NDArray[np.float64], frames: Frames, iou: float = 0.5) -> list[Any]:
    """Clusters around the best masks by pycocotools' IoU, then a vote per pixel."""
    order = np.argsort(-scores)
    rles = coco.encode(np.asfortranarray(frames[order].transpose(1, 2, 0)))
    overlap = coco.iou(rles, rles, [0] * len(rles))
    seeds: list[int] = []
    members: list[list[int]] = []
    for i in range(len(order)):
        if seeds:
            winner = int(overlap[i, seeds].argmax())
            if overlap[i, seeds[winner]] > iou:
                members[winner].append(i)
                continue
        seeds.append(i)
        members.append([i])
    return [frames[order[own]].sum(axis=0) >= max(np.ceil(0.5 * len(own)), 1) for own in members]
