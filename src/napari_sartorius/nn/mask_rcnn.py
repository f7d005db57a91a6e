"""Mask R-CNN with a feature pyramid: one forward pass that reads like the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from napari_sartorius.nn.box_head import BoxHead
from napari_sartorius.nn.box_sampling import BoxSample
from napari_sartorius.nn.boxes import apply_deltas, clip_boxes
from napari_sartorius.nn.detector import Detections, DetectLimits, Proposals, ScoredBoxes
from napari_sartorius.nn.keep_best import BestBoxes, keep_best
from napari_sartorius.nn.mask_head import MaskHead
from napari_sartorius.nn.matching import match_boxes, sample
from napari_sartorius.nn.network import Network
from napari_sartorius.nn.own_column import own_column, own_values
from napari_sartorius.nn.point_refinement import PointHead
from napari_sartorius.nn.pooling import pool_boxes
from napari_sartorius.nn.proposals import ProposalChoice, ProposalNetwork
from napari_sartorius.nn.pyramid import Pyramid
from napari_sartorius.nn.targets import mask_targets
from napari_sartorius.nn.trunks.build import build_trunk

if TYPE_CHECKING:
    from napari_sartorius.nn.config import MaskRCNNConfig, PoolerConfig
    from napari_sartorius.nn.targets import Target


class MaskRCNN(Network):
    """Trunk, pyramid, proposals, box head, mask head.

    Parameters
    ----------
    config
        The architecture tree. Box coding, clipping, aligned pooling, background-last scores and
        mask sampling follow detectron2's numerics.
    """

    mask_parts: ClassVar[tuple[str, ...]] = ("mask_head",)

    def __init__(self, config: MaskRCNNConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = build_trunk(config.trunk)
        self.pyramid = Pyramid(self.trunk.channels, config.pyramid)
        strides = self.trunk.strides
        self.pooled_strides = strides
        if config.pyramid.extra_level:
            strides = (*strides, strides[-1] * 2)
        width = config.pyramid.width
        self.proposals = ProposalNetwork(width, config.proposals, strides)
        self.box_head = BoxHead(width, config.num_classes, config.box_head)
        self.mask_head = MaskHead(width, config.num_classes, config.mask_head)
        self.point_head: PointHead | None = None
        if config.mask_head.points is not None:
            maps = self.mask_head.predictor.out_channels
            self.point_head = PointHead(width, maps, strides[0], config.mask_head.points)
        self.size_divisibility = self.trunk.strides[-1]

    def features(self, batch: Tensor) -> list[Tensor]:
        """Pyramid of a (B, C, H, W) normalised batch, finest first."""
        levels: list[Tensor] = self.pyramid(self.trunk(batch))
        return levels

    def propose(
        self, features: list[Tensor], image_sizes: list[tuple[int, int]], *, part: bool = False
    ) -> list[Proposals]:
        """Candidate boxes of each image, clipped to its (height, width), best first.

        `part` is that of `DetectLimits`.
        """
        logits, deltas = self.proposals(features)
        anchors = self.proposals.anchors(features)
        choice = ProposalChoice(part=part)
        return self.proposals.select(logits, deltas, anchors, image_sizes, choice)

    def score_boxes(
        self,
        features: list[Tensor],
        boxes: list[Tensor],
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[ScoredBoxes]:
        """Class probabilities (N, K + 1) and refined boxes (N, K or 1, 4) of given boxes."""
        del image_sizes  # a cascade needs them
        logits, deltas = self.box_head(self._pool(features, boxes, self.config.box_head.pooler))
        refined = apply_deltas(torch.cat(boxes), deltas, self.config.box_head.delta_weights)
        counts = [len(b) for b in boxes]
        return [
            ScoredBoxes(p, b)
            for p, b in zip(
                torch.split(logits.softmax(dim=1), counts),
                torch.split(refined, counts),
                strict=True,
            )
        ]

    def predict_masks(self, features: list[Tensor], boxes: list[Tensor]) -> list[Tensor]:
        """Mask probabilities (N, K or 1, M, M) of given boxes of each image."""
        logits = self._mask_logits(features, boxes)
        if self.point_head is not None:
            logits = self.point_head.refine_all(features[0], boxes, logits)
        return list(torch.split(logits.sigmoid(), [len(b) for b in boxes]))

    def _mask_logits(self, features: list[Tensor], boxes: list[Tensor]) -> Tensor:
        """Logits (N, K or 1, 2 R, 2 R) of the mask head for the boxes of all images."""
        return self.draw_masks(self._pool(features, boxes, self.config.mask_head.pooler))[0]

    def draw_masks(self, pooled: Tensor) -> list[Tensor]:
        """Logits (N, K or 1, 2 R, 2 R) of every mask head for pooled features (N, C, R, R)."""
        return [self.mask_head(pooled)]

    @property
    def refinements(self) -> int:
        """How often boxes that may be objects are looked at again."""
        return self.config.box_head.refinements

    def find_boxes(
        self, features: list[Tensor], sizes: list[tuple[int, int]], limits: DetectLimits
    ) -> list[BestBoxes]:
        """Final boxes of each image of (height, width): all stages before the masks."""
        proposals = self.propose(features, sizes, part=limits.part)
        scored = self.score_boxes(features, [p.boxes for p in proposals], sizes)
        for _ in range(self.refinements):
            scored = self.look_again(features, scored, sizes, limits.score)
        return [
            keep_best(one, proposal, size, limits)
            for one, proposal, size in zip(scored, proposals, sizes, strict=True)
        ]

    def masks_of(
        self, features: list[Tensor], boxes: list[Tensor], labels: list[Tensor]
    ) -> list[Tensor]:
        """Mask probabilities (N, M, M) of boxes whose categories are known."""
        if self.point_head is None:
            maps = self.predict_masks(features, boxes)
            return [own_values(one, label).float() for one, label in zip(maps, labels, strict=True)]
        logits = self._mask_logits(features, boxes)
        column = own_column(logits, torch.cat(labels))
        refined = self.point_head.refine(features[0], boxes, logits, column)
        return list(torch.split(refined.sigmoid(), [len(b) for b in boxes]))

    @torch.inference_mode()
    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections]:
        """Find the objects of each image.

        Parameters
        ----------
        batch
            (B, C, H, W) float32, normalised; H and W divisible by `size_divisibility`.
        limits
            What may drop an object; the defaults when None.
        image_sizes
            (height, width) of each image without padding; the whole map when None.
        """
        limits = limits or DetectLimits()
        sizes = image_sizes or [(batch.shape[2], batch.shape[3])] * len(batch)
        features = self.features(batch)
        kept = self.find_boxes(features, sizes, limits)
        masks = self.masks_of(
            features, [best.boxes for best in kept], [best.labels for best in kept]
        )
        return [
            Detections(best.boxes, best.scores, best.labels, mask, best.capped)
            for best, mask in zip(kept, masks, strict=True)
        ]

    def look_again(
        self,
        features: list[Tensor],
        scored: list[ScoredBoxes],
        sizes: list[tuple[int, int]],
        least: float,
    ) -> list[ScoredBoxes]:
        """Score the boxes above `least` once more where they are now; the others stay."""
        candidates, rows = [], []
        for one, size in zip(scored, sizes, strict=True):
            row, box = likely_boxes(one, size, least)
            candidates.append(box)
            rows.append(row)
        results = []
        looked = self.score_boxes(features, candidates, sizes)
        for old, row, new in zip(scored, rows, looked, strict=True):
            mean = (old.probabilities[row] + new.probabilities) / 2
            results.append(
                ScoredBoxes(
                    old.probabilities.index_copy(0, row, mean),
                    old.boxes.index_copy(0, row, new.boxes),
                )
            )
        return results

    def losses(self, batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Training losses of a batch, by name; their sum is what is minimised."""
        features = self.features(batch)
        logits, deltas = self.proposals.before_losses(features)
        anchors = self.proposals.anchors(features)
        losses = self.proposals.losses(features, logits, deltas, anchors, targets)
        sizes = [(batch.shape[2], batch.shape[3])] * len(batch)
        found = self.proposals.select(
            [x.detach() for x in logits], [x.detach() for x in deltas], anchors, sizes
        )
        return losses | self._region_losses(features, found, targets, sizes)

    def _region_losses(
        self,
        features: list[Tensor],
        found: list[Proposals],
        targets: list[Target],
        sizes: list[tuple[int, int]],
    ) -> dict[str, Tensor]:
        head, masks = self.config.box_head, self.config.mask_head
        boxes, labels, truth = [], [], []
        mask_boxes, mask_objects, mask_truth = [], [], []
        for proposal, target in zip(found, targets, strict=True):
            # The true boxes join the proposals so that the heads learn from the first step on.
            candidates = torch.cat([proposal.boxes, target.boxes])
            matched = match_boxes(candidates, target.boxes, head.positive_iou, head.positive_iou)
            positive, negative = sample(matched, head.batch_per_image, head.positive_fraction)
            chosen = torch.cat([positive, negative])
            boxes.append(candidates[chosen])
            label, wanted = self._wanted_of(boxes[-1], matched[chosen], target)
            labels.append(label)
            truth.append(wanted)
            for_mask = positive[: masks.batch_per_image]
            side = 2 * masks.pooler.resolution
            mask_boxes.append(candidates[for_mask])
            mask_objects.append(matched[for_mask])
            mask_truth.append(mask_targets(target, candidates[for_mask], matched[for_mask], side))
        losses = self._box_losses(features, BoxSample(boxes, labels, truth), targets, sizes)
        mask_logits = self._mask_logits(features, mask_boxes)
        labels_of = [t.labels[o] for t, o in zip(targets, mask_objects, strict=True)]
        losses["mask"] = self.mask_head.loss(
            mask_logits, torch.cat(labels_of), torch.cat(mask_truth)
        )
        if self.point_head is not None:
            losses["mask_points"] = self.point_head.loss(
                features[0], mask_boxes, mask_logits, targets, mask_objects
            )
        return losses

    def _wanted_of(self, boxes: Tensor, matched: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """Label (N,), background last, and true box (N, 4), zeros for background, of each box."""
        label = torch.full_like(matched, self.config.num_classes)
        wanted = torch.zeros_like(boxes)
        found = torch.nonzero(matched >= 0).flatten()
        label[found] = target.labels[matched[found]]
        wanted[found] = target.boxes[matched[found]]
        return label, wanted

    def _box_losses(
        self,
        features: list[Tensor],
        sampled: BoxSample,
        targets: list[Target],
        sizes: list[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """Losses of the box head on sampled boxes."""
        del targets, sizes  # a cascade needs them
        pooled = self._pool(features, sampled.boxes, self.config.box_head.pooler)
        logits, deltas = self.box_head(pooled)
        return self.box_head.losses(logits, deltas, *sampled.joined())

    def _pool(self, features: list[Tensor], boxes: list[Tensor], pooler: PoolerConfig) -> Tensor:
        return pool_boxes(features, self.pooled_strides, boxes, pooler)


def likely_boxes(
    scored: ScoredBoxes, image_size: tuple[int, int], least: float
) -> tuple[Tensor, Tensor]:
    """Rows (N,) that are objects with a probability above `least`, and their boxes (N, 4).

    The boxes are those of the likeliest category, inside the image.
    """
    best = scored.probabilities[:, :-1].max(dim=1)
    row = torch.nonzero(best.values > least).flatten()
    column = own_column(scored.boxes, best.indices[row])
    return row, clip_boxes(scored.boxes[row, column], image_size)
