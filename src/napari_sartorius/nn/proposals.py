"""Region proposal network: where could an object be, whatever its category (Ren et al. 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import batched_nms

from napari_sartorius.nn.anchors import grid_anchors, overlapping_anchors
from napari_sartorius.nn.boxes import apply_deltas, clip_boxes, encode_deltas, nonempty
from napari_sartorius.nn.detector import Proposals, growth_of
from napari_sartorius.nn.matching import match_pairs, sample
from napari_sartorius.nn.predictors import ConvPredictor, both
from napari_sartorius.nn.rectified import rectified
from napari_sartorius.nn.sparse_proposals import scores_at

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import ProposalConfig
    from napari_sartorius.nn.targets import Target

_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


class ProposalChoice(NamedTuple):
    """What survives of the proposals, where that is not as the tree says.

    Attributes
    ----------
    score
        Proposals at or below this objectness, 0..1, are dropped.
    nms
        IoU, 0..1, from which the lower-scored of two of one level is dropped; None as in the tree.
    per_level
        Most of one level before that; None as in the tree.
    part
        As in `DetectLimits`.
    """

    score: float = 0.0
    nms: float | None = None
    per_level: int | None = None
    part: bool = False


class ProposalHead(nn.Module):
    """3x3 convolutions, then objectness and box deltas per anchor; shared by all levels."""

    rectified_layers = ("conv",)

    def __init__(self, width: int, anchors: int, convolutions: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.later = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) for _ in range(convolutions - 1)
        )
        self.objectness = ConvPredictor(width, anchors, 1)
        self.deltas = ConvPredictor(width, anchors * 4, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    @property
    def single(self) -> bool:
        """Whether one convolution is all that a place sees."""
        return len(self.later) == 0

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits (B, R*C*A) and deltas (B, R*C*A, 4) of each level, float32."""
        logits, deltas = [], []
        for level in features:
            hidden = rectified(self.conv, level)
            for convolution in self.later:
                hidden = rectified(convolution, hidden)
            objectness, delta = both(hidden, self.objectness, self.deltas)
            logits.append(objectness.flatten(1))
            deltas.append(delta.reshape(len(delta), -1, 4))
        return logits, deltas


class ProposalNetwork(nn.Module):
    """Anchors, their scores and refinements, and what survives of them."""

    def __init__(self, width: int, config: ProposalConfig, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.config = config
        self.levels = config.levels or tuple(range(len(strides)))
        self.strides = tuple(strides[level] for level in self.levels)
        anchors = len(config.anchor_sizes[0]) * len(config.anchor_ratios)
        self.head = ProposalHead(width, anchors, config.convolutions)

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits (B, R*C*A) and deltas (B, R*C*A, 4) for each tuple of anchors, float32."""
        used = sorted(set(self.levels))
        logits, deltas = self.head([features[level] for level in used])
        order = [used.index(level) for level in self.levels]
        return [logits[i] for i in order], [deltas[i] for i in order]

    def before_losses(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """What `forward` gives, with a gradient only where `losses` will read it."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.head.single):
            return self(features)  # type: ignore[no-any-return]

    def anchors(self, features: list[Tensor]) -> tuple[Tensor, ...]:
        """Anchors of each tuple for maps of these sizes."""
        return grid_anchors(self.config, self._shapes(features), self.strides, features[0].device)

    def _shapes(self, features: list[Tensor]) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of the level of each tuple of anchors."""
        maps = [features[level] for level in self.levels]
        return tuple((int(f.shape[2]), int(f.shape[3])) for f in maps)

    @torch.no_grad()
    def select(
        self,
        logits: list[Tensor],
        deltas: list[Tensor],
        anchors: tuple[Tensor, ...],
        image_sizes: list[tuple[int, int]],
        choice: ProposalChoice | None = None,
    ) -> list[Proposals]:
        """Best boxes of each image: top-k per level, clip, drop empty, NMS per level, top-k.

        `choice` wins over the settings of the tree.
        """
        choice = choice or ProposalChoice()
        nms = self.config.nms_iou if choice.nms is None else choice.nms
        results = []
        for image, image_size in enumerate(image_sizes):
            pre, post = self._limits(image_size, choice.part)
            pre = choice.per_level or pre
            boxes, scores, levels = [], [], []
            for level, (logit, delta, anchor) in enumerate(
                zip(logits, deltas, anchors, strict=True)
            ):
                top, index = logit[image].topk(min(pre, logit.shape[1]))
                decoded = apply_deltas(anchor[index], delta[image][index], _WEIGHTS)[:, 0]
                boxes.append(clip_boxes(decoded, image_size))
                scores.append(top)
                levels.append(torch.full_like(index, level))
            box, score, level_of = torch.cat(boxes), torch.cat(scores), torch.cat(levels)
            valid = nonempty(box) & torch.isfinite(score)
            if choice.score > 0:
                valid &= score.sigmoid() > choice.score
            box, score, level_of = box[valid], score[valid], level_of[valid]
            kept = batched_nms(box, score, level_of, nms)
            results.append(Proposals(box[kept[:post]], score[kept[:post]], len(kept) > post))
        return results

    def _limits(self, image_size: tuple[int, int], part: bool) -> tuple[int, int]:
        """Most proposals per level before and in all after NMS, for an image of this size."""
        config = self.config
        if self.training:
            return config.pre_nms_topk_train, config.post_nms_topk_train
        growth = growth_of(image_size, config.topk_area, part) if config.topk_grows else 1.0
        return round(config.pre_nms_topk_test * growth), round(config.post_nms_topk_test * growth)

    def losses(
        self,
        features: list[Tensor],
        logits: list[Tensor],
        deltas: list[Tensor],
        anchors: tuple[Tensor, ...],
        targets: list[Target],
    ) -> dict[str, Tensor]:
        """Objectness (binary cross-entropy) and box (smooth L1 on deltas) losses.

        `logits` and `deltas` are read only where the head has several convolutions; one is computed
        again, at the sampled anchors alone.
        """
        config, count = self.config, self.config.batch_per_image * len(targets)
        all_anchors, shapes = torch.cat(anchors), self._shapes(features)
        chosen: list[Tensor] = []
        images, labels, shows, shown, wanted = [], [], [], [], []
        for image, target in enumerate(targets):
            pairs = overlapping_anchors(config, shapes, self.strides, target.boxes)
            matched = match_pairs(
                all_anchors, target.boxes, pairs, config.positive_iou, config.negative_iou
            )
            positive, negative = sample(matched, config.batch_per_image, config.positive_fraction)
            shows.append(torch.arange(len(positive)) + sum(len(one) for one in chosen))
            chosen.append(torch.cat([positive, negative]))
            images.append(torch.full_like(chosen[-1], image))
            labels.append(torch.zeros(len(chosen[-1]), device=positive.device))
            labels[-1][: len(positive)] = 1
            shown.append(all_anchors[positive])
            wanted.append(target.boxes[matched[positive]])
        label, place = torch.cat(labels), (torch.cat(images), torch.cat(chosen))
        if self.head.single:
            maps = [features[level] for level in self.levels]
            logit, delta = scores_at(self.head, maps, *place)
        else:
            logit, delta = torch.cat(logits, dim=1)[place], torch.cat(deltas, dim=1)[place]
        objectness = functional.binary_cross_entropy_with_logits(logit, label, reduction="sum")
        box_loss = functional.smooth_l1_loss(
            delta[torch.cat(shows).to(delta.device)],
            encode_deltas(torch.cat(shown), torch.cat(wanted), _WEIGHTS),
            beta=0.1,
            reduction="sum",
        )
        return {"proposal_objectness": objectness / count, "proposal_box": box_loss / count}
