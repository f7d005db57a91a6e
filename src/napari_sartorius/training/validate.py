"""Validation during training: detect, paste, remove overlaps, best threshold per category."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.nn.detector import DetectLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.nn.detector import Detections
    from napari_sartorius.nn.mask_rcnn import MaskRCNN
    from napari_sartorius.training.images import AnnotatedImage

_THRESHOLDS = np.arange(0.1, 0.91, 0.05)
_IOUS = np.arange(0.5, 0.96, 0.05)


@dataclass
class ValidationResult:
    """Competition score overall and per category, and the thresholds that gave it."""

    score: float
    per_category: dict[int, float]
    thresholds: dict[int, float]
    details: dict[str, float] = field(default_factory=dict)


@torch.inference_mode()
def validate(
    network: MaskRCNN,
    images: Sequence[AnnotatedImage],
    monitor: Monitor,
    device: torch.device,
    dtype: torch.dtype,
) -> ValidationResult:
    """Mean competition score of the images, each scored with its main category's objects.

    The threshold of each category is chosen on these same images: good enough to compare steps of
    one run, not a final figure.
    """
    table: dict[int, list[NDArray[np.float64]]] = {}
    network.eval()
    for image in images:
        monitor.check()
        category = int(np.bincount(image.categories).argmax()) if len(image.categories) else 0
        tensor = _pad(image.pixels, network.size_divisibility).to(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            found = network.detect(
                tensor.to(memory_format=torch.channels_last),
                DetectLimits(score=0.1),
                [image.pixels.shape[:2]],
            )[0]
        table.setdefault(category, []).append(_scores_by_threshold(image, found, category))
    per_category, thresholds = {}, {}
    for category, rows in sorted(table.items()):
        mean = np.mean(rows, axis=0)
        per_category[category] = float(mean.max())
        thresholds[category] = float(_THRESHOLDS[mean.argmax()])
    counts = {category: len(rows) for category, rows in table.items()}
    total = sum(per_category[c] * n for c, n in counts.items()) / max(1, sum(counts.values()))
    return ValidationResult(float(total), per_category, thresholds)


def _pad(pixels: NDArray[np.float16], multiple: int) -> torch.Tensor:
    height, width, channels = pixels.shape
    shape = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
    tensor = torch.zeros((1, channels, *shape))
    tensor[0, :, :height, :width] = torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1))
    return tensor


def _scores_by_threshold(
    image: AnnotatedImage, found: Detections, category: int
) -> NDArray[np.float64]:
    """Competition score of one image at each score threshold."""
    chosen = torch.nonzero(found.labels == category).flatten()
    scores = found.scores[chosen].float().cpu().numpy()
    boxes = found.boxes[chosen].float().cpu().numpy()
    probabilities = found.mask_probs[chosen].float().cpu().numpy()
    size = image.pixels.shape[:2]
    masks = paste_masks(boxes, probabilities, size).remove_overlap()
    keep = masks.area() >= 20
    masks, scores = masks[keep], scores[keep]
    truth = len(image.masks)
    best = np.zeros(len(scores), np.float32)
    if len(masks) and truth:
        best = masks.iou(image.masks).max(axis=1)
    hits = best[None, :, None] > _IOUS
    given = (scores[None] >= _THRESHOLDS[:, None])[:, :, None]
    true_positives = (hits & given).sum(axis=1)
    predicted = given.sum(axis=1)
    union = predicted + truth - true_positives
    ratio = np.where(union > 0, true_positives / np.maximum(union, 1), 0.0)
    return np.asarray(ratio.mean(axis=1), dtype=np.float64)


def paste_masks(
    boxes: NDArray[np.float32], probabilities: NDArray[np.float32], size: tuple[int, int]
) -> CropMasks:
    """Masks of boxes (N, 4) from (N, M, M) probabilities, bilinear, at one half."""
    bitmaps, origins = [], []
    side = probabilities.shape[-1] if len(probabilities) else 1
    for box, probability in zip(boxes, probabilities, strict=True):
        x0, y0 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
        x1, y1 = min(size[1], int(np.ceil(box[2]))), min(size[0], int(np.ceil(box[3])))
        x = (np.arange(x0, x1) + 0.5 - box[0]) / (box[2] - box[0]) * side - 0.5
        y = (np.arange(y0, y1) + 0.5 - box[1]) / (box[3] - box[1]) * side - 0.5
        padded = np.pad(probability, 1)
        x_low = np.clip(np.floor(x), -1, side - 1).astype(int)
        y_low = np.clip(np.floor(y), -1, side - 1).astype(int)
        fx, fy = (x - x_low).clip(0, 1), (y - y_low).clip(0, 1)
        rows = padded[y_low + 1] * (1 - fy)[:, None] + padded[y_low + 2] * fy[:, None]
        value = rows[:, x_low + 1] * (1 - fx) + rows[:, x_low + 2] * fx
        bitmaps.append(value >= 0.5)
        origins.append((x0, y0))
    return CropMasks.from_bitmaps(bitmaps, np.array(origins, np.int32).reshape(-1, 2), size)
