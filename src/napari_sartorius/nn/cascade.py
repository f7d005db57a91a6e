"""Cascade Mask R-CNN: box heads in a row, each starting from the boxes of the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from napari_sartorius.nn.box_head import BoxHead
from napari_sartorius.nn.box_sampling import BoxSample
from napari_sartorius.nn.boxes import apply_deltas, clip_boxes, nonempty
from napari_sartorius.nn.detector import ScoredBoxes
from napari_sartorius.nn.mask_rcnn import MaskRCNN
from napari_sartorius.nn.matching import match_boxes

if TYPE_CHECKING:
    from napari_sartorius.nn.config import CascadeMaskRCNNConfig
    from napari_sartorius.nn.targets import Target


class CascadeMaskRCNN(MaskRCNN):
    """Mask R-CNN with several box heads (Cai and Vasconcelos 2018), as detectron2 runs it.

    The score of a box is the mean over the heads, its place that of the last one. In training each
    head learns from the boxes that the one before it made of the same proposals, matched anew at
    its own overlap.

    Parameters
    ----------
    config
        The architecture tree.
    """

    mask_parts: ClassVar[tuple[str, ...]] = ("mask_head",)

    def __init__(self, config: CascadeMaskRCNNConfig) -> None:
        super().__init__(config)
        self.overlaps = (
            config.box_head.positive_iou,
            *(stage.positive_iou for stage in config.stages),
        )
        self.later_heads = nn.ModuleList(
            BoxHead(
                config.pyramid.width,
                config.num_classes,
                config.box_head.model_copy(update=stage.model_dump()),
            )
            for stage in config.stages
        )

    @property
    def _heads(self) -> list[BoxHead]:
        return [self.box_head, *(head for head in self.later_heads if isinstance(head, BoxHead))]

    def score_boxes(
        self,
        features: list[Tensor],
        boxes: list[Tensor],
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[ScoredBoxes]:
        """Mean class probabilities (N, K + 1) and boxes (N, K or 1, 4) after the last head.

        Boxes are clipped to `image_sizes` between the heads, not after the last one; not at all
        when it is None. Empty ones stay, so that rows keep their meaning.
        """
        counts = [len(b) for b in boxes]
        every: list[Tensor] = []
        for head in self._heads:
            pooled = self._pool(features, boxes, self.config.box_head.pooler)
            logits, deltas = head(pooled)
            every.append(logits)
            refined = apply_deltas(torch.cat(boxes), deltas, head.config.delta_weights)
            if head is self._heads[-1]:
                break
            boxes = list(torch.split(likeliest(refined, logits), counts))
            if image_sizes is not None:
                boxes = [clip_boxes(b, size) for b, size in zip(boxes, image_sizes, strict=True)]
        mean = self._joint(every)
        return [
            ScoredBoxes(p, b)
            for p, b in zip(torch.split(mean, counts), torch.split(refined, counts), strict=True)
        ]

    def _joint(self, logits: list[Tensor]) -> Tensor:
        """Class probabilities (N, K + 1) that the logits of all heads mean together."""
        return torch.stack([one.softmax(dim=1) for one in logits]).mean(dim=0)

    def _box_losses(
        self,
        features: list[Tensor],
        sampled: BoxSample,
        targets: list[Target],
        sizes: list[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """Class and box losses of each head, numbered from 1."""
        losses: dict[str, Tensor] = {}
        heads = self._heads
        for number, (head, overlap) in enumerate(zip(heads, self.overlaps, strict=True), start=1):
            if number > 1:
                sampled = self._matched(sampled.boxes, targets, overlap)
            pooled = self._pool(features, sampled.boxes, self.config.box_head.pooler)
            logits, deltas = head(_weakened(pooled, 1 / len(heads)))
            for name, value in head.losses(logits, deltas, *sampled.joined()).items():
                losses[f"{name}_{number}"] = value
            with torch.no_grad():
                refined = apply_deltas(torch.cat(sampled.boxes), deltas, head.config.delta_weights)
                refined = likeliest(refined, logits, torch.cat(sampled.labels))
                parts = torch.split(refined, [len(b) for b in sampled.boxes])
                boxes = [clip_boxes(b, size) for b, size in zip(parts, sizes, strict=True)]
            sampled = sampled._replace(boxes=[b[nonempty(b)] for b in boxes])
        return losses

    def _matched(self, boxes: list[Tensor], targets: list[Target], overlap: float) -> BoxSample:
        """All boxes with the label and true box that they have at this overlap."""
        labels, truth = [], []
        for box, target in zip(boxes, targets, strict=True):
            matched = match_boxes(box, target.boxes, overlap, overlap)
            label, wanted = self._wanted_of(box, matched, target)
            labels.append(label)
            truth.append(wanted)
        return BoxSample(boxes, labels, truth)


def likeliest(boxes: Tensor, logits: Tensor, labels: Tensor | None = None) -> Tensor:
    """The box (N, 4) of each row's class, of boxes (N, K or 1, 4) and logits (N, K + 1).

    The class is the true one where `labels` (N,) tells it, else the likeliest that is no
    background (Chen et al. 2019, mmdetection).
    """
    if boxes.shape[1] == 1:
        return boxes[:, 0]
    column = logits[:, :-1].argmax(dim=1)
    if labels is not None:
        column = torch.where(labels < boxes.shape[1], labels, column)
    return boxes[torch.arange(len(column), device=column.device), column]


def _weakened(values: Tensor, share: float) -> Tensor:
    """The same values with a gradient of this share: all heads together weigh as much as one."""
    return values * share + values.detach() * (1 - share)
