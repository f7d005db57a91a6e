"""Two annotated crops that a small network must be able to learn by heart, and how well it did."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.core.paste import paste
from napari_sartorius.evaluation.coco_ap import coco_average_precision
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.images import read_image
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.targets import Target
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.training.images import AnnotatedImage, pack_image

if TYPE_CHECKING:
    from napari_sartorius.nn.network import Network

SIDE = 96


def two_crops(data: Path | None) -> list[AnnotatedImage]:
    """Crops of real phase contrast where `data` is a folder, else of the generated scene."""
    return _generated() if data is None else _real(data)


def real_data() -> Path | None:
    """The folder of real annotated images, None where a clone stands alone."""
    repository = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("SARTORIUS_SHARED", repository.parent / "shared")) / "data"
    return folder if folder.is_dir() else None


def as_batch(crops: list[AnnotatedImage]) -> tuple[torch.Tensor, list[Target]]:
    """Batch (B, C, H, W) and its truth, unchanged by any augmentation."""
    pixels = np.stack([crop.pixels.astype(np.float32).transpose(2, 0, 1) for crop in crops])
    return torch.from_numpy(pixels), [_target(crop) for crop in crops]


def learn_by_heart(
    network: Network, crops: list[AnnotatedImage], steps: int, rate: float
) -> list[dict[str, float]]:
    """Train on both crops again and again; losses of every step."""
    batch, targets = as_batch(crops)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate)
    network.train()
    history = []
    for step in range(steps):
        for group in optimiser.param_groups:
            falling = 0.5 + 0.5 * np.cos(np.pi * step / steps)
            group["lr"] = rate * min(1.0, (step + 1) / 10) * (0.05 + 0.95 * falling)
        losses = network.losses(batch, targets)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    return history


def average_precision_50(network: Network, crops: list[AnnotatedImage]) -> float:
    """COCO AP of masks at IoU 0.5 on the crops themselves."""
    cases = list(zip([truth_of(crop) for crop in crops], found_in(network, crops), strict=True))
    return coco_average_precision(cases, ["cell"]).overall.ap50


def found_in(network: Network, crops: list[AnnotatedImage]) -> list[Instances]:
    """What a network finds in each crop, pasted."""
    network.eval()
    batch, _ = as_batch(crops)
    results = []
    for detections in network.detect(batch, DetectLimits(score=0.05)):
        one = detections.on_host()
        size = (SIDE, SIDE)
        masks = paste(one.mask_probs, one.boxes, size)
        results.append(Instances(size, one.boxes, one.scores, one.labels, masks))
    return results


def truth_of(crop: AnnotatedImage) -> Instances:
    """The crop's objects."""
    return Instances.from_masks(crop.masks, categories=crop.categories)


def _real(data: Path) -> list[AnnotatedImage]:
    dataset = read_coco(data / "livecell" / "annotations.json")
    crops = []
    for record, (x, y) in zip(dataset.images[:2], ((200, 200), (300, 100)), strict=True):
        image = np.asarray(read_image(data / "livecell" / record.file_name).pixels)
        crops.append(_crop(record.file_name, image, dataset.instances[record.id], x, y))
    return crops


def _generated() -> list[AnnotatedImage]:
    crops = []
    for seed in (1, 2):
        image, truth = phase_contrast_scene((2 * SIDE, 2 * SIDE), seed, cells=24)
        crops.append(_crop(f"generated {seed}", image, truth, SIDE // 2, SIDE // 2))
    return crops


def _crop(name: str, image: np.ndarray, truth: Instances, x: int, y: int) -> AnnotatedImage:
    masks, _ = truth.masks.crop(x, y, x + SIDE, y + SIDE)
    masks = masks[np.flatnonzero(masks.area() >= 40)].tight()
    pixels = image[y : y + SIDE, x : x + SIDE]
    return pack_image(name, pixels, masks, np.zeros(len(masks), np.int64), Normalisation(), 1)


def _target(crop: AnnotatedImage) -> Target:
    masks = crop.masks
    return Target(
        boxes=torch.from_numpy(masks.bounding_boxes().astype(np.float32)),
        labels=torch.from_numpy(crop.categories),
        bits=torch.from_numpy(masks.bits.astype(np.uint8)),
        offsets=torch.from_numpy(np.asarray(masks.offsets[:-1], dtype=np.int64)),
        bitmap_boxes=torch.from_numpy(masks.boxes.astype(np.int64)),
    )
