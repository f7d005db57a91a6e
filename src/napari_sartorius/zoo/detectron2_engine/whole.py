"""detectron2's other instance segmentation models: one call from image to objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torchvision.ops import batched_nms, masks_to_boxes, roi_align

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.detector import Detections, DetectLimits
from napari_sartorius.zoo.detectron2_engine.available import quiet
from napari_sartorius.zoo.detectron2_engine.network import Detectron2Network

if TYPE_CHECKING:
    from torch import Tensor

# Sides of the square into which masks of whole images are brought, pixels.
_SMALLEST_SIDE, _LARGEST_SIDE = 28, 224
_MASK = 0.5


class Detectron2Whole(Detectron2Network):
    """A model without region heads. It offers `detect` alone.

    Parameters
    ----------
    model
        Takes detectron2's list of images and answers with ``instances``.
    name
        Of the model, for errors.
    """

    @torch.inference_mode()
    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections]:
        """Find the objects of each image; see `Network.detect`."""
        limits = limits or DetectLimits()
        sizes = image_sizes or [(batch.shape[2], batch.shape[3])] * len(batch)
        # The model pads its images itself, in the way that it was trained with.
        images = [
            {"image": image[:, :height, :width].contiguous(), "height": height, "width": width}
            for image, (height, width) in zip(batch, sizes, strict=True)
        ]
        with self._speaking(), quiet():
            answers = self.model(images)
        return [self._detections(answer.get("instances"), batch, limits) for answer in answers]

    def __getattr__(self, name: str) -> Any:
        """Say in a sentence that there are no stages to call."""
        if name in ("features", "propose", "score_boxes", "predict_masks"):
            raise StagesMissing(
                f"{self.name} finds its objects in one go and has no stages that could be called "
                "one by one; choose an ensemble that fuses finished objects"
            )
        return super().__getattr__(name)

    def _detections(self, found: Any, batch: Tensor, limits: DetectLimits) -> Detections:
        """Objects within the limits, best first; none where the model answers nothing."""
        if found is None or len(found) == 0:
            none = batch.new_zeros(0)
            return Detections(
                none.reshape(0, 4), none, none.long(), none.reshape(0, 28, 28), capped=False
            )
        if not found.has("pred_masks"):
            raise UserError(
                f"{self.name} finds boxes but no masks; only models of detectron2 that give every "
                "object its mask can be used"
            )
        masks = _bitmaps(found.pred_masks)
        scores, labels = found.scores.float(), found.pred_classes.long()
        good = torch.nonzero((scores > limits.score) & masks.flatten(1).any(dim=1)).flatten()
        masks, scores, labels = masks[good], scores[good], labels[good]
        boxes = masks_to_boxes(masks)
        boxes[:, 2:] += 1  # from the last pixel to its outer edge
        kept = batched_nms(boxes, scores, labels, limits.nms)
        best = kept[: limits.max_detections]
        lost = kept[len(best) :]
        wanted = scores.new_tensor(limits.wanted)[labels] if limits.wanted else scores
        return Detections(
            boxes[best],
            scores[best],
            labels[best],
            _squares(masks[best], boxes[best]),
            capped=bool((scores[lost] >= wanted[lost]).any()),
        )


class StagesMissing(UserError, AttributeError):
    """Stage-wise calls were asked of a model that has none; also an absent attribute."""


def _bitmaps(masks: Any) -> Tensor:
    """(N, H, W) bool of the forms in which detectron2's models give masks of whole images."""
    tensor: Tensor = getattr(masks, "tensor", masks)
    return tensor if tensor.dtype == torch.bool else tensor >= _MASK


def _squares(masks: Tensor, boxes: Tensor) -> Tensor:
    """Each mask within its box as an (S, S) grid, so that pasting it gives the mask again."""
    if not len(masks):
        return boxes.new_zeros((0, _SMALLEST_SIDE, _SMALLEST_SIDE))
    extent = int((boxes[:, 2:] - boxes[:, :2]).max())
    side = min(max(extent, _SMALLEST_SIDE), _LARGEST_SIDE)
    grids = []
    for mask, box in zip(masks, boxes.long().tolist(), strict=True):
        crop = mask[None, None, box[1] : box[3], box[0] : box[2]].float()
        whole = crop.new_tensor([[0, 0, 0, crop.shape[3], crop.shape[2]]])
        grids.append(roi_align(crop, whole, side, aligned=True)[0, 0])
    return torch.stack(grids)
