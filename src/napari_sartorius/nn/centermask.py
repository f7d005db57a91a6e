"""CenterMask: FCOS finds boxes, an attentive head draws masks, a third one judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_sartorius.nn.attentive_mask_head import AttentiveMaskHead
from napari_sartorius.nn.boxes import clip_boxes, nonempty
from napari_sartorius.nn.config import PyramidConfig
from napari_sartorius.nn.detector import Detections, DetectLimits, Proposals, ScoredBoxes
from napari_sartorius.nn.fcos import FCOSHead, grid_places
from napari_sartorius.nn.fcos_lookup import look_at_middles
from napari_sartorius.nn.fcos_losses import fcos_losses
from napari_sartorius.nn.fcos_selection import TopK, select
from napari_sartorius.nn.mask_iou_head import MaskIoUHead, mask_iou
from napari_sartorius.nn.mask_sampling import MaskSample
from napari_sartorius.nn.network import Network
from napari_sartorius.nn.own_column import own_values
from napari_sartorius.nn.pooling import assign_levels_by_area, pool_boxes
from napari_sartorius.nn.pyramid import Pyramid, TopLevels
from napari_sartorius.nn.trunks.build import build_trunk

if TYPE_CHECKING:
    from napari_sartorius.nn.config import CenterMaskConfig
    from napari_sartorius.nn.fcos import FCOSMaps
    from napari_sartorius.nn.fcos_selection import FCOSBoxes
    from napari_sartorius.nn.targets import Target

Sizes = list[tuple[int, int]]

# Boxes whose masks are drawn in one go; their features stay below a few hundred megabytes.
_CHUNK = 256


class CenterMask(Network):
    """Trunk, pyramid with top levels, FCOS, mask head with spatial attention, MaskIoU head.

    Follows CenterMask and CenterMask2 (Lee and Park 2020): masks see boxes that are not limited to
    the image; only the final boxes are.

    Parameters
    ----------
    config
        The architecture tree.
    """

    def __init__(self, config: CenterMaskConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = build_trunk(config.trunk)
        pyramid, width = config.pyramid, config.pyramid.width
        self.pooled_strides = self.trunk.strides[pyramid.finest :]
        self.pyramid = Pyramid(
            self.trunk.channels[pyramid.finest :], PyramidConfig(width=width, norm=pyramid.norm)
        )
        self.top = TopLevels(width, pyramid.top_levels)
        coarsest = self.pooled_strides[-1]
        self.strides = (
            *self.pooled_strides,
            *(coarsest * 2 ** (i + 1) for i in range(pyramid.top_levels)),
        )
        self.fcos = FCOSHead(width, config.num_classes, config.fcos, self.strides)
        self.mask_head = AttentiveMaskHead(width, config.num_classes, config.mask_head)
        self.mask_iou_head: MaskIoUHead | None = None
        if config.mask_iou_head is not None:
            side = config.mask_head.pooler.resolution
            self.mask_iou_head = MaskIoUHead(width, side, config.num_classes, config.mask_iou_head)
        self.size_divisibility = self.trunk.strides[-1]

    def features(self, batch: Tensor) -> list[Tensor]:
        """Pyramid of a (B, C, H, W) normalised batch, finest first, with the top levels."""
        levels: list[Tensor] = self.pyramid(self.trunk(batch)[self.config.pyramid.finest :])
        return levels + list(self.top(levels[-1]))

    def propose(self, features: list[Tensor], image_sizes: Sizes) -> list[Proposals]:
        """Boxes of each image, clipped to its (height, width), best first.

        They are final: this family finds, scores and places an object in one stage.
        """
        results = []
        for found, size in zip(self._find(features, image_sizes), image_sizes, strict=True):
            boxes = clip_boxes(found.boxes, size)
            valid = nonempty(boxes)
            logits = torch.logit(found.scores[valid], eps=1e-6)
            results.append(Proposals(boxes[valid], logits, found.capped))
        return results

    def score_boxes(
        self,
        features: list[Tensor],
        boxes: list[Tensor],
        image_sizes: Sizes | None = None,
    ) -> list[ScoredBoxes]:
        """What the place in the middle of each given box says of the object there.

        The place is of the level that is responsible for a box of that size. Probabilities
        (N, K + 1) are the roots of class times centerness; classes do not exclude each other, and
        the background has what the best class leaves. Boxes (N, 1, 4) are the place's own.
        """
        del image_sizes  # a cascade needs them
        maps, places, shapes = self.fcos(features), self._places(features), _shapes(features)
        limits = self.config.fcos.level_limits
        return [
            look_at_middles(maps, places, shapes, self.strides, limits, image, given)
            for image, given in enumerate(boxes)
        ]

    def predict_masks(
        self, features: list[Tensor], boxes: list[Tensor], image_sizes: Sizes | None = None
    ) -> list[Tensor]:
        """Mask probabilities (N, K or 1, M, M) of given boxes of each image.

        `image_sizes` matters where levels are chosen by the share of the whole image.
        """
        sizes = image_sizes or self._map_sizes(features)
        logits = self.mask_head(self._pool(features, boxes, sizes))
        return list(torch.split(logits.sigmoid(), [len(b) for b in boxes]))

    @torch.inference_mode()
    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: Sizes | None = None,
    ) -> list[Detections]:
        """Find the objects of each image.

        Every object has its box score; where masks are judged, the column ``mask_score`` holds the
        box score times the expected IoU of its mask. `rank_by` of the tree says which of them the
        score is; the IoU is limited to 0..1 there.

        Parameters
        ----------
        batch
            (B, C, H, W) float32, normalised; H and W divisible by `size_divisibility`.
        limits
            What may drop an object; the defaults when None. Boxes of one category must not overlap
            more than `limits.nms` nor more than `nms_iou` of the tree. At most `max_detections` by
            their box scores are drawn.
        image_sizes
            (height, width) of each image without padding; the whole map when None.
        """
        limits = limits or DetectLimits()
        sizes = image_sizes or [(batch.shape[2], batch.shape[3])] * len(batch)
        features = self.features(batch)
        kept = []
        for found, size in zip(self._find(features, sizes, limits), sizes, strict=True):
            inside = found.of(nonempty(clip_boxes(found.boxes, size)))
            kept.append(_best(inside, limits))
        masks, fits = self._draw(features, kept, sizes)
        return [
            self._finished(*parts, limits) for parts in zip(kept, masks, fits, sizes, strict=True)
        ]

    def _finished(
        self,
        found: FCOSBoxes,
        masks: Tensor,
        fit: Tensor,
        size: tuple[int, int],
        limits: DetectLimits,
    ) -> Detections:
        """Objects of one image, ranked and limited to it."""
        boxes, scores, columns = clip_boxes(found.boxes, size), found.scores, {}
        if self.mask_iou_head is not None:
            columns = {"box_score": scores, "mask_score": scores * fit}
        if self.config.rank_by == "mask_score":
            scores = scores * fit.clamp(0, 1)
        order = scores.argsort(descending=True, stable=True)
        order = order[scores[order] > limits.score]
        return Detections(
            boxes[order],
            scores[order],
            found.labels[order],
            masks[order],
            found.capped,
            {name: column[order] for name, column in columns.items()},
        )

    def _draw(
        self, features: list[Tensor], found: list[FCOSBoxes], sizes: Sizes
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Mask probabilities (N, M, M) of each box's category and their expected IoU (N,)."""
        masks, fits = [], []
        for begin in range(0, max(sum(len(one.scores) for one in found), 1), _CHUNK):
            part = _slice(found, begin, begin + _CHUNK)
            labels = torch.cat([one.labels for one in part])
            pooled = self._pool(features, [one.boxes for one in part], sizes)
            chosen = own_values(self.mask_head(pooled), labels).sigmoid()
            masks.append(chosen)
            if self.mask_iou_head is not None:
                fits.append(own_values(self.mask_iou_head(pooled, chosen), labels))
            else:
                fits.append(torch.ones_like(chosen[:, 0, 0]))
        counts = [len(one.scores) for one in found]
        return (
            list(torch.split(torch.cat(masks), counts)),
            list(torch.split(torch.cat(fits), counts)),
        )

    def losses(self, batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Training losses of a batch, by name; their sum is what is minimised."""
        features = self.features(batch)
        maps, places = self.fcos(features), self._places(features)
        losses = fcos_losses(
            maps, places, _shapes(features), self.strides, targets, self.config.fcos
        )
        sizes = [(batch.shape[2], batch.shape[3])] * len(batch)
        found = self._select(maps.detached(), places, sizes)
        return losses | self._mask_losses(features, found, targets, sizes)

    def _mask_losses(
        self, features: list[Tensor], found: list[FCOSBoxes], targets: list[Target], sizes: Sizes
    ) -> dict[str, Tensor]:
        """Losses of both mask heads on found boxes that show an object, and on the true ones."""
        head = self.config.mask_head
        sampled = [
            MaskSample.of(one.boxes, target, head)
            for one, target in zip(found, targets, strict=True)
        ]
        boxes = [one.boxes for one in sampled]
        labels, truth = (torch.cat([one[i] for one in sampled]) for i in (1, 2))
        pooled = self._pool(features, boxes, sizes)
        logits = self.mask_head(pooled)
        losses = {"mask": self.mask_head.loss(logits, labels, truth)}
        if self.mask_iou_head is not None:
            masks = own_values(logits.detach(), labels).sigmoid()
            fit = self.mask_iou_head(pooled, masks)
            areas = torch.cat([one.areas for one in sampled])
            true_fit = mask_iou((masks >= 0.5).float(), truth, torch.cat(boxes), areas)
            losses["mask_iou"] = self.mask_iou_head.loss(fit, labels, true_fit)
        return losses

    def _places(self, features: list[Tensor]) -> tuple[Tensor, ...]:
        return grid_places(_shapes(features), self.strides, features[0].device)

    def _map_sizes(self, features: list[Tensor]) -> Sizes:
        """(height, width) of the batch for each image."""
        stride, level = self.strides[0], features[0]
        return [(level.shape[2] * stride, level.shape[3] * stride)] * len(level)

    def _find(
        self, features: list[Tensor], sizes: Sizes, limits: DetectLimits | None = None
    ) -> list[FCOSBoxes]:
        """Boxes of each image, not limited to it."""
        return self._select(self.fcos(features), self._places(features), sizes, limits)

    def _select(
        self,
        maps: FCOSMaps,
        places: tuple[Tensor, ...],
        sizes: Sizes,
        limits: DetectLimits | None = None,
    ) -> list[FCOSBoxes]:
        config, part = self.config.fcos, limits is not None and limits.part
        return [
            select(maps, places, image, config, TopK.of(config, size, self.training, part), limits)
            for image, size in enumerate(sizes)
        ]

    def _pool(self, features: list[Tensor], boxes: list[Tensor], sizes: Sizes) -> Tensor:
        """Features of all boxes from the level that suits the share of the picture they cover."""
        pooler, flat = self.config.mask_head.pooler, torch.cat(boxes)
        usual = pooler.canonical_size**2
        areas = [float(h * w) if pooler.whole_image else usual for h, w in sizes]
        each = flat.new_tensor(
            [a for a, b in zip(areas, boxes, strict=True) for _ in range(len(b))]
        )
        level = assign_levels_by_area(flat, each, len(self.pooled_strides))
        return pool_boxes(features, self.pooled_strides, boxes, pooler, level)


def _best(found: FCOSBoxes, limits: DetectLimits) -> FCOSBoxes:
    """At most `limits.max_detections` boxes, and whether wanted ones were lost by that."""
    lost = found.scores[limits.max_detections :]
    if limits.wanted:
        labels = found.labels[limits.max_detections :]
        lost = lost[lost >= lost.new_tensor(limits.wanted)[labels]]
    best = found.of(slice(limits.max_detections))
    return best._replace(capped=found.capped or len(lost) > 0)


def _slice(found: list[FCOSBoxes], begin: int, end: int) -> list[FCOSBoxes]:
    """Boxes `begin` to `end` of all images together, image by image."""
    parts = []
    for one in found:
        count = len(one.scores)
        parts.append(one.of(slice(max(begin, 0), max(end, 0))))
        begin, end = begin - count, end - count
    return parts


def _shapes(features: list[Tensor]) -> tuple[tuple[int, int], ...]:
    """(rows, columns) of each level."""
    return tuple((int(f.shape[2]), int(f.shape[3])) for f in features)
