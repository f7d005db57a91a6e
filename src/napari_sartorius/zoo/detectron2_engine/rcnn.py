"""detectron2's generalised R-CNNs, stage by stage, as our ensembles and widgets call networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from napari_sartorius.nn.detector import (
    Detections,
    DetectLimits,
    Proposals,
    ScoredBoxes,
)
from napari_sartorius.nn.keep_best import keep_best
from napari_sartorius.zoo.detectron2_engine.available import quiet
from napari_sartorius.zoo.detectron2_engine.network import Detectron2Network

if TYPE_CHECKING:
    from torch import Tensor

_Sizes = list[tuple[int, int]]


class Detectron2RCNN(Detectron2Network):
    """Mask R-CNN, Cascade, C4, DC5, PointRend and what else has detectron2's region heads.

    All layers and all arithmetic up to class probabilities, boxes and masks are detectron2's; what
    is kept of them is decided by our limits, with detectron2's rules (Wu et al. 2019).

    Parameters
    ----------
    model
        A ``GeneralizedRCNN`` in evaluation mode.
    name
        Of the model, for errors.
    """

    def __init__(self, model: Any, name: str) -> None:
        super().__init__(model, name)
        levels = model.backbone.output_shape()
        self._levels = sorted(levels, key=lambda level: int(levels[level].stride))
        self._finest = int(levels[self._levels[0]].stride)
        self._divisor = int(model.backbone.size_divisibility or 1)

    def features(self, batch: Tensor) -> list[Tensor]:
        """Feature maps of a (B, C, H, W) normalised batch, finest first."""
        with self._speaking(), quiet():
            maps = self.model.backbone(batch.contiguous())
        return [maps[level] for level in self._levels]

    def propose(self, features: list[Tensor], image_sizes: _Sizes) -> list[Proposals]:
        """Candidate boxes of each image, clipped to its (height, width), best first."""
        from detectron2.structures import ImageList

        generator = self.model.proposal_generator
        # The generator asks an image list for its sizes only.
        images = ImageList(features[0], list(image_sizes))
        with self._speaking(), quiet():
            found, _ = generator(images, self._by_name(features), None)
        most = generator.post_nms_topk[False]
        return [
            Proposals(
                one.proposal_boxes.tensor, one.objectness_logits, len(one.proposal_boxes) >= most
            )
            for one in found
        ]

    def score_boxes(
        self, features: list[Tensor], boxes: list[Tensor], image_sizes: _Sizes | None = None
    ) -> list[ScoredBoxes]:
        """Class probabilities (N, K + 1) and refined boxes (N, K or 1, 4) of given boxes.

        A cascade clips boxes to `image_sizes` between its stages; to the whole map when None.
        """
        sizes = image_sizes or self._whole(features)
        heads, maps = self.model.roi_heads, self._by_name(features)
        given = [
            _instances(size, proposal_boxes=box) for size, box in zip(sizes, boxes, strict=True)
        ]
        with self._speaking(), quiet():
            if hasattr(heads, "num_cascade_stages"):
                probabilities, refined = _cascade(heads, maps, given)
            else:
                if hasattr(heads, "box_pooler"):
                    pooled = heads.box_pooler(
                        [maps[f] for f in heads.box_in_features], [g.proposal_boxes for g in given]
                    )
                    seen = heads.box_head(pooled)
                else:
                    seen = self._shared(heads, maps, given, "proposal_boxes").mean(dim=(2, 3))
                predictions = heads.box_predictor(seen)
                probabilities = heads.box_predictor.predict_probs(predictions, given)
                refined = heads.box_predictor.predict_boxes(predictions, given)
        return [
            ScoredBoxes(p, b.reshape(len(b), b.shape[1] // 4, 4))
            for p, b in zip(probabilities, refined, strict=True)
        ]

    def predict_masks(self, features: list[Tensor], boxes: list[Tensor]) -> list[Tensor]:
        """Mask probabilities (N, K or 1, M, M) of given boxes of each image."""
        heads, maps = self.model.roi_heads, self._by_name(features)
        if not hasattr(heads.mask_head, "layers"):
            return self._masks_one_by_one(features, boxes)
        given = [
            _instances(size, pred_boxes=box)
            for size, box in zip(self._whole(features), boxes, strict=True)
        ]
        with self._speaking(), quiet():
            if hasattr(heads, "mask_pooler"):
                pooled = heads.mask_pooler(
                    [maps[f] for f in heads.mask_in_features], [g.pred_boxes for g in given]
                )
            else:
                pooled = self._shared(heads, maps, given, "pred_boxes")
            logits = heads.mask_head.layers(pooled)
        return list(torch.split(logits.sigmoid(), [len(box) for box in boxes]))

    def masks_of(
        self, features: list[Tensor], boxes: list[Tensor], labels: list[Tensor]
    ) -> list[Tensor]:
        """Mask probabilities (N, M, M) of given boxes, each for its category alone."""
        given = [
            _instances(size, pred_boxes=box, pred_classes=label)
            for size, box, label in zip(self._whole(features), boxes, labels, strict=True)
        ]
        with self._speaking(), quiet():
            seen = self.model.roi_heads.forward_with_given_boxes(self._by_name(features), given)
        return [one.pred_masks[:, 0] for one in seen]

    @torch.inference_mode()
    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: _Sizes | None = None,
    ) -> list[Detections]:
        """Find the objects of each image; see `Network.detect`."""
        limits = limits or DetectLimits()
        sizes = image_sizes or [(batch.shape[2], batch.shape[3])] * len(batch)
        features = self.features(self._trimmed(batch, sizes))
        proposals = self.propose(features, sizes)
        scored = self.score_boxes(features, [p.boxes for p in proposals], sizes)
        kept = [
            keep_best(one, proposal, size, limits)
            for one, proposal, size in zip(scored, proposals, sizes, strict=True)
        ]
        masks = self.masks_of(features, [k.boxes for k in kept], [k.labels for k in kept])
        return [
            Detections(k.boxes, k.scores, k.labels, mask.float(), k.capped)
            for k, mask in zip(kept, masks, strict=True)
        ]

    def _trimmed(self, batch: Tensor, sizes: _Sizes) -> Tensor:
        """The batch with as little padding as detectron2 itself would add, for its very result."""
        height, width = (
            -(-max(size[axis] for size in sizes) // self._divisor) * self._divisor
            for axis in (0, 1)
        )
        return batch[:, :, :height, :width]

    def _masks_one_by_one(self, features: list[Tensor], boxes: list[Tensor]) -> list[Tensor]:
        """Masks of heads that look where a category's mask is uncertain: each for itself."""
        by_class = []
        for label in range(int(self.model.roi_heads.num_classes)):
            labels = [torch.full((len(b),), label, device=b.device) for b in boxes]
            by_class.append(self.masks_of(features, boxes, labels))
        return [torch.stack(classes, dim=1) for classes in zip(*by_class, strict=True)]

    def _by_name(self, features: list[Tensor]) -> dict[str, Tensor]:
        return dict(zip(self._levels, features, strict=True))

    def _whole(self, features: list[Tensor]) -> _Sizes:
        count, _, height, width = features[0].shape
        return [(height * self._finest, width * self._finest)] * count

    @staticmethod
    def _shared(heads: Any, maps: dict[str, Tensor], given: list[Any], boxes: str) -> Tensor:
        """What the heads of a C4 model share: the last residual stage on every box."""
        pooled = heads.pooler([maps[f] for f in heads.in_features], [g.get(boxes) for g in given])
        shared: Tensor = heads.res5(pooled)
        return shared


def _cascade(
    heads: Any, maps: dict[str, Tensor], given: list[Any]
) -> tuple[list[Tensor], list[Tensor]]:
    """Mean probabilities of all stages and boxes of the last one (Cai and Vasconcelos 2018)."""
    levels = [maps[f] for f in heads.box_in_features]
    sizes = [g.image_size for g in given]
    stages: list[list[Tensor]] = []
    for stage in range(heads.num_cascade_stages):
        predictor = heads.box_predictor[stage]
        pooled = heads.box_pooler(levels, [g.proposal_boxes for g in given])
        predictions = predictor(heads.box_head[stage](pooled))
        stages.append(predictor.predict_probs(predictions, given))
        refined = list(predictor.predict_boxes(predictions, given))
        if stage + 1 < heads.num_cascade_stages:
            given = [_instances(s, proposal_boxes=b) for s, b in zip(sizes, refined, strict=True)]
            for one in given:
                one.proposal_boxes.clip(one.image_size)
    return [sum(image) * (1.0 / len(stages)) for image in zip(*stages, strict=True)], refined


def _instances(size: tuple[int, int], **columns: Tensor) -> Any:
    """detectron2's table of objects; columns of boxes become its `Boxes`, copied."""
    from detectron2.structures import Boxes, Instances

    table = Instances(size)
    for name, values in columns.items():
        table.set(name, Boxes(values.clone()) if name.endswith("boxes") else values)
    return table
