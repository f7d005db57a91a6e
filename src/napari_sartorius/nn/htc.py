"""Hybrid Task Cascade: boxes and masks refined in turn, with an eye on their surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_sartorius.nn.box_sampling import BoxSample
from napari_sartorius.nn.boxes import apply_deltas, clip_boxes, nonempty
from napari_sartorius.nn.cascade import CascadeMaskRCNN, likeliest
from napari_sartorius.nn.mask_head import MaskHead
from napari_sartorius.nn.matching import match_boxes, sample
from napari_sartorius.nn.pooling import pool_boxes
from napari_sartorius.nn.pyramid import conv_block
from napari_sartorius.nn.semantic import SemanticHead
from napari_sartorius.nn.targets import mask_targets

if TYPE_CHECKING:
    from napari_sartorius.nn.box_head import BoxHead
    from napari_sartorius.nn.config import HTCConfig, PoolerConfig
    from napari_sartorius.nn.detector import Proposals
    from napari_sartorius.nn.targets import Target


class _Drawn(NamedTuple):
    """What one stage learns from: boxes with their truth, and those of them that show objects."""

    sampled: BoxSample
    boxes: list[Tensor]
    objects: list[Tensor]


class HybridTaskCascade(CascadeMaskRCNN):
    """Cascade with a mask head per stage (Chen et al. 2019), as mmdetection runs it.

    Class logits are averaged over the box heads, mask probabilities over the mask heads. With a
    semantic branch `features` gives two maps more than the pyramid has: the branch's features,
    which `score_boxes` and `predict_masks` read, and its logits.

    Parameters
    ----------
    config
        The architecture tree.
    """

    config: HTCConfig
    mask_parts: ClassVar[tuple[str, ...]] = ("mask_head", "later_mask_heads", "flows")

    def __init__(self, config: HTCConfig) -> None:
        super().__init__(config)
        width, later = config.pyramid.width, len(config.stages)
        self.later_mask_heads = nn.ModuleList(
            MaskHead(width, config.num_classes, config.mask_head) for _ in range(later)
        )
        inner = config.mask_head.width
        self.flows = nn.ModuleList(
            conv_block(inner, width, 1, "none", relu=True)
            for _ in range(later if config.mask_flow else 0)
        )
        self.semantic: SemanticHead | None = None
        if config.semantic is not None:
            levels = 4 + config.pyramid.extra_level
            self.semantic = SemanticHead(width, levels, config.semantic)
            self.semantic_stride = self.trunk.strides[0] * 2**config.semantic.level

    @property
    def _mask_heads(self) -> list[MaskHead]:
        later = [head for head in self.later_mask_heads if isinstance(head, MaskHead)]
        return [self.mask_head, *later]

    def features(self, batch: Tensor) -> list[Tensor]:
        """Pyramid of a (B, C, H, W) normalised batch, finest first, then the semantic maps."""
        levels = super().features(batch)
        return levels if self.semantic is None else [*levels, *self.semantic(levels)]

    def _pool(self, features: list[Tensor], boxes: list[Tensor], pooler: PoolerConfig) -> Tensor:
        """Features of boxes, with those of the semantic branch added."""
        pooled = super()._pool(features, boxes, pooler)
        if self.semantic is None:
            return pooled
        around = pool_boxes(
            [features[-2]], (self.semantic_stride,), boxes, self.semantic.config.pooler
        )
        if around.shape[-2:] != pooled.shape[-2:]:
            around = functional.adaptive_avg_pool2d(around, pooler.resolution)
        return pooled + around

    def _joint(self, logits: list[Tensor]) -> Tensor:
        """Class probabilities of the mean logits of all heads."""
        return torch.stack(logits).mean(dim=0).softmax(dim=1)

    def predict_masks(self, features: list[Tensor], boxes: list[Tensor]) -> list[Tensor]:
        """Mean mask probabilities (N, K or 1, M, M) of all mask heads for given boxes."""
        pooled = self._pool(features, boxes, self.config.mask_head.pooler)
        total = torch.stack([logits.sigmoid() for logits in self.draw_masks(pooled)])
        return list(torch.split(total.mean(dim=0), [len(b) for b in boxes]))

    def draw_masks(self, pooled: Tensor) -> list[Tensor]:
        """Logits (N, K or 1, 2 R, 2 R) of every mask head for pooled features (N, C, R, R)."""
        hidden = self._mask_features(pooled, len(self._mask_heads))
        return [head.logits(h) for head, h in zip(self._mask_heads, hidden, strict=True)]

    def _mask_features(self, pooled: Tensor, stages: int) -> list[Tensor]:
        """What the first mask heads make of pooled features, each seeing the one before."""
        hidden: list[Tensor] = []
        for i, head in enumerate(self._mask_heads[:stages]):
            seen = pooled + self.flows[i - 1](hidden[-1]) if self.config.mask_flow and i else pooled
            hidden.append(head.blocks(seen))
        return hidden

    def _region_losses(
        self,
        features: list[Tensor],
        found: list[Proposals],
        targets: list[Target],
        sizes: list[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """Class, box and mask losses of each stage, numbered from 1, and the semantic loss."""
        losses: dict[str, Tensor] = {}
        boxes = [proposal.boxes for proposal in found]
        stages = zip(self._heads, self.overlaps, self.config.stage_losses, strict=True)
        for number, (head, overlap, weight) in enumerate(stages, start=1):
            drawn = self._drawn(boxes, targets, overlap)
            pooled = self._pool(features, drawn.sampled.boxes, self.config.box_head.pooler)
            logits, deltas = head(pooled)
            for name, value in head.losses(logits, deltas, *drawn.sampled.joined()).items():
                losses[f"{name}_{number}"] = value * weight
            boxes = _refined(head, drawn.sampled, logits, deltas, sizes)
            if self.config.interleaved:
                drawn = self._drawn(boxes, targets, overlap)
            losses[f"mask_{number}"] = self._mask_loss(features, number, drawn, targets) * weight
        if self.semantic is not None:
            losses["semantic"] = self.semantic.loss(features[-1], targets, self.semantic_stride)
        return losses

    def _drawn(self, boxes: list[Tensor], targets: list[Target], overlap: float) -> _Drawn:
        """Boxes of each image for one stage; the true ones join them, so that no stage starves."""
        head = self.config.box_head
        chosen, labels, truth, positives, objects = [], [], [], [], []
        for box, target in zip(boxes, targets, strict=True):
            candidates = torch.cat([box, target.boxes])
            matched = match_boxes(candidates, target.boxes, overlap, overlap)
            positive, negative = sample(matched, head.batch_per_image, head.positive_fraction)
            rows = torch.cat([positive, negative])
            label, wanted = self._wanted_of(candidates[rows], matched[rows], target)
            chosen.append(candidates[rows])
            labels.append(label)
            truth.append(wanted)
            positives.append(candidates[positive])
            objects.append(matched[positive])
        return _Drawn(BoxSample(chosen, labels, truth), positives, objects)

    def _mask_loss(
        self, features: list[Tensor], number: int, drawn: _Drawn, targets: list[Target]
    ) -> Tensor:
        """Loss of the mask head of a stage, which sees what all before it made of its boxes."""
        config = self.config.mask_head
        boxes = [box[: config.batch_per_image] for box in drawn.boxes]
        objects = [index[: config.batch_per_image] for index in drawn.objects]
        hidden = self._mask_features(self._pool(features, boxes, config.pooler), number)[-1]
        head = self._mask_heads[number - 1]
        side = 2 * config.pooler.resolution
        labels, truth = [], []
        for box, index, target in zip(boxes, objects, targets, strict=True):
            labels.append(target.labels[index])
            truth.append(mask_targets(target, box, index, side))
        return head.loss(head.logits(hidden), torch.cat(labels), torch.cat(truth))


@torch.no_grad()
def _refined(
    head: BoxHead,
    sampled: BoxSample,
    logits: Tensor,
    deltas: Tensor,
    sizes: list[tuple[int, int]],
) -> list[Tensor]:
    """Boxes of each image where a head moved them, inside the image and not empty."""
    moved = apply_deltas(torch.cat(sampled.boxes), deltas, head.config.delta_weights)
    moved = likeliest(moved, logits, torch.cat(sampled.labels))
    parts = torch.split(moved, [len(box) for box in sampled.boxes])
    boxes = [clip_boxes(box, size) for box, size in zip(parts, sizes, strict=True)]
    return [box[nonempty(box)] for box in boxes]
