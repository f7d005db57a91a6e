"""Mean of several drawings of the same boxes, how well they agree, and scores that follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from napari_sartorius.nn.detector import Detections

# Objects compared at one time: with 24 drawings of 28 x 28, 20 MB.
_CHUNK = 256


class MaskMean:
    """Adds up masks of the same N boxes, drawing by drawing, and averages them.

    Drawings of different resolution are brought to the finest by linear interpolation.
    """

    def __init__(self) -> None:
        self._drawings: list[Tensor] = []

    def add(self, masks: Tensor) -> None:
        """Add one drawing, (N, M, M) probabilities."""
        self._drawings.append(masks)

    def probabilities(self) -> Tensor:
        """Mean (N, M, M) of all drawings."""
        drawings = self._alike()
        total = drawings[0].clone()
        for one in drawings[1:]:
            total += one
        return total / len(drawings)

    def agreement(self) -> Tensor:
        """Mean IoU (N,) over all pairs of drawings, a pixel being drawn from 0.5 on."""
        drawn = [one >= 0.5 for one in self._alike()]
        return mean_pair_iou(torch.stack([one.flatten(1) for one in drawn], dim=1))

    def _alike(self) -> list[Tensor]:
        side = max(one.shape[-1] for one in self._drawings)
        self._drawings = [resized(one, side) for one in self._drawings]
        return self._drawings


def resized(masks: Tensor, side: int) -> Tensor:
    """Masks (N, M, M) as (N, side, side) between the same edges of their boxes."""
    if masks.shape[-1] == side:
        return masks
    if not len(masks):
        return masks.new_zeros((0, side, side))
    return functional.interpolate(
        masks[:, None], (side, side), mode="bilinear", align_corners=False
    )[:, 0]


def mean_pair_iou(bits: Tensor) -> Tensor:
    """Mean IoU (N,) over the pairs of L masks (N, L, P) bool; 1 for a single one.

    Two masks without any pixel agree.
    """
    count, looks = bits.shape[:2]
    result = torch.ones(count, device=bits.device)
    if looks == 1:
        return result
    first, second = torch.triu_indices(looks, looks, 1, device=bits.device)
    for start in range(0, count, _CHUNK):
        part = bits[start : start + _CHUNK].float()
        shared = torch.bmm(part, part.transpose(1, 2))
        area = part.sum(dim=2)
        shared = shared[:, first, second]
        union = area[:, first] + area[:, second] - shared
        iou = torch.where(union > 0, shared / union.clamp(min=1), torch.ones_like(union))
        result[start : start + _CHUNK] = iou.mean(dim=1)
    return result


def mask_confidence(masks: Tensor, threshold: float = 0.5) -> Tensor:
    """Mean probability (N,) of the pixels of masks (N, M, M) that reach a threshold; 0 if none."""
    inside = masks >= threshold
    total = (masks * inside).sum(dim=(1, 2))
    return total / inside.sum(dim=(1, 2)).clamp(min=1)


def rescored(found: Detections) -> Detections:
    """Objects with their score times the confidence of their mask, best first (1st place)."""
    scores = found.scores * mask_confidence(found.mask_probs)
    order = scores.argsort(descending=True, stable=True)
    return type(found)(
        found.boxes[order],
        scores[order],
        found.labels[order],
        found.mask_probs[order],
        found.capped,
        {name: column[order] for name, column in found.columns.items()},
    )
