"""Matrix NMS: masks of one object lower each other's scores, all at once (Wang et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from napari_sartorius.nn.config import MatrixNMSConfig

# Overlaps are counted block by block, since a mask lies in few of them.
_BLOCK = 4096


@dataclass
class SparseMasks:
    """Binary masks of a map as a list of their elements: they are small, and the map is large.

    Attributes
    ----------
    owner, element
        (P,) int32: a mask, and the index of an element of the map that belongs to it. Sorted by
        mask, then by element.
    count
        Number of masks; some may be empty.
    """

    owner: Tensor
    element: Tensor
    count: int

    def areas(self) -> Tensor:
        """Elements (N,) of each mask, float32."""
        return torch.bincount(self.owner, minlength=self.count).float()

    def means(self, values: Tensor) -> Tensor:
        """Mean (N,) of values (P,) over the elements of each mask; 0 for empty ones."""
        sums = values.new_zeros(self.count).index_add(0, self.owner.long(), values)
        return sums / self.areas().clamp(min=1)

    def chosen(self, rows: Tensor) -> SparseMasks:
        """The masks of these rows (n,), in this order."""
        place = torch.full((self.count,), -1, dtype=torch.int32, device=rows.device)
        place[rows] = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
        owner = place[self.owner.long()]
        kept = owner >= 0
        owner, element = owner[kept], self.element[kept]
        order = torch.argsort(owner, stable=True)
        return SparseMasks(owner[order], element[order], len(rows))

    def extents(self, columns: int) -> Tensor:
        """First and last column and row (N, 4) int64, x0 y0 x1 y1, of masks that are not empty."""
        owner = self.owner.long()
        x = (self.element % columns).long()
        y = torch.div(self.element, columns, rounding_mode="floor").long()
        low, high = (
            torch.stack(
                [
                    axis.new_zeros(self.count).scatter_reduce(
                        0, owner, axis, how, include_self=False
                    )
                    for axis in (x, y)
                ],
                dim=1,
            )
            for how in ("amin", "amax")
        )
        return torch.cat([low, high], dim=1)


def mask_iou(masks: SparseMasks) -> Tensor:
    """IoU (N, N) float32 of all pairs; 0 where both are empty.

    The work is that of the blocks in which masks meet: little for cells that lie side by side,
    and no more than a full product when an untrained network's masks cover everything.
    """
    shared = torch.zeros((masks.count, masks.count), device=masks.owner.device)
    block = torch.div(masks.element, _BLOCK, rounding_mode="floor")
    order = torch.argsort(block, stable=True)
    owner, element = masks.owner[order].long(), (masks.element % _BLOCK)[order].long()
    start = 0
    for size in torch.bincount(block).tolist():
        if size:
            here = slice(start, start + size)
            present, row = torch.unique_consecutive(owner[here], return_inverse=True)
            if len(present) > 1:
                dense = shared.new_zeros((len(present), _BLOCK))
                dense[row, element[here]] = 1
                shared[present[:, None], present] += dense @ dense.T
        start += size
    area = masks.areas()
    shared.fill_diagonal_(0)
    shared += torch.diag(area)
    union = area[:, None] + area - shared
    return shared / union.clamp(min=1)


def matrix_nms(scores: Tensor, labels: Tensor, iou: Tensor, config: MatrixNMSConfig) -> Tensor:
    """Scores (N,) after every mask was lowered by the better ones of its category.

    The factor of mask j is the smallest, over better masks i, of f(iou_ij) / f(iou_i), where iou_i
    is the largest overlap of i with a mask better than itself: one that is itself a doubtful
    repetition takes less from others.

    Parameters
    ----------
    scores : (N,) float32
        Best first.
    labels : (N,) int64
        Categories; others do not compete.
    iou : (N, N) float32
        Overlaps of the masks.
    config
        Which f.
    """
    if len(scores) == 0:
        return scores
    better = torch.ones_like(iou, dtype=torch.bool).triu(1) & (labels[:, None] == labels)
    rivalry = torch.where(better, iou, torch.zeros_like(iou))
    worst = rivalry.max(dim=0).values[:, None]  # of i with what is better than i
    if config.kernel == "gaussian":
        factor = torch.exp(config.sigma * (worst**2 - rivalry**2))
    else:
        factor = (1 - rivalry) / (1 - worst).clamp(min=1e-6)
    # The paper takes the minimum over all rows; a mask without rivals keeps its score.
    return scores * factor.masked_fill(~better, 1.0).min(dim=0).values.clamp(max=1.0)


def greedy_keep(labels: Tensor, iou: Tensor, limit: float) -> Tensor:
    """Which masks (N,) bool, best first, greedy suppression at this IoU would keep.

    Found by repetition instead of one by one (Zheng et al. 2020, Cluster-NMS): the verdict on the
    first k masks is final after k rounds, and after very few in practice.
    """
    beaten = (iou > limit) & (labels[:, None] == labels)
    beaten = beaten.triu(1)
    kept = torch.ones_like(labels, dtype=torch.bool)
    for _ in range(len(labels)):
        again = ~(beaten & kept[:, None]).any(dim=0)
        if torch.equal(again, kept):
            break
        kept = again
    return kept
