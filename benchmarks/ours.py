"""A network of ours from images to masks, as the segmenter runs it, without tiles and views."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from parts import now
from yardsticks import resized

from napari_sartorius.core.paste import paste
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.loading import make_ready, move
from napari_sartorius.samples.phase_contrast import phase_contrast_scene

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.nn.detector import Detections
    from napari_sartorius.nn.network import Network

Precision = Literal["float32", "mixed", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "mixed", "bfloat16")
DETECTIONS = 200
"""Most objects that either side keeps."""

_MEANS = (103.53, 116.28, 123.675)


class Ours:
    """A network of ours made ready for one arithmetic, from images to masks."""

    def __init__(self, tree: Any, state: dict[str, Tensor], precision: Precision, device: str):
        network = build_network(tree).eval()
        network.load_state_dict(state)
        make_ready(network, device, precision)
        self.network: Network = move(network, device)
        self.precision, self.device = precision, device
        self.pasting = 0.0

    def detect(self, images: list[Tensor], edge: int) -> list[Detections]:
        """Objects in the pixels of the network's input."""
        batch, sizes = as_batch(images, edge, self.network.size_divisibility, self.device)
        kind = torch.device(self.device).type
        half = self.precision == "bfloat16"
        with (
            torch.inference_mode(),
            torch.autocast(kind, torch.bfloat16) if half else nullcontext(),
        ):
            limits = DetectLimits(0.05, 0.5, DETECTIONS)
            return self.network.detect(batch, limits, sizes)

    def find(self, images: list[Tensor], edge: int) -> list[tuple[Detections, CropMasks]]:
        """Objects and their masks in the pixels of the images."""
        detections = self.detect(images, edge)
        start, found = now(), []
        for image, one in zip(images, detections, strict=True):
            size = int(image.shape[1]), int(image.shape[2])
            boxes = one.boxes.float().cpu().numpy() * (min(size) / edge)
            found.append((one, paste(one.mask_probs.float().cpu().numpy(), boxes, size)))
        self.pasting = now() - start
        return found


def as_batch(
    images: list[Tensor], edge: int, step: int, device: str
) -> tuple[Tensor, list[tuple[int, int]]]:
    """What a network sees of images, channels last in memory, and their sizes without padding."""
    small = [resized(image, edge) for image in images]
    sizes = [(int(one.shape[1]), int(one.shape[2])) for one in small]
    height, width = (-(-max(side) // step) * step for side in zip(*sizes, strict=True))
    batch = torch.zeros(len(small), height, width, len(small[0]), device=device)
    means = torch.tensor(_MEANS[: len(small[0])], device=device)
    for slot, one in zip(batch, small, strict=True):
        slot[: one.shape[1], : one.shape[2]] = one.to(device).permute(1, 2, 0) - means
    return batch.permute(0, 3, 1, 2), sizes


def picture(channels: int = 3, cells: int | None = None) -> Tensor:
    """A generated field of cells, (channels, 520, 704) float32 of 0..255."""
    grey, _ = phase_contrast_scene(cells=cells)
    return torch.from_numpy(grey.astype(np.float32)).expand(channels, -1, -1).contiguous()
