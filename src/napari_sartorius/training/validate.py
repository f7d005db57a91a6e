"""Validation during training: detect, paste, best score threshold per category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.paste import paste
from napari_sartorius.evaluation.coco_ap import coco_average_precision
from napari_sartorius.evaluation.threshold_search import search_thresholds
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.training.images import AnnotatedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.nn.network import Network

_SCORES = tuple(np.round(np.arange(0.1, 0.91, 0.05), 2).tolist())
# Smaller masks are crumbs left over where objects overlapped.
_SMALLEST_MASK = 20


@dataclass
class ValidationResult:
    """Competition score overall and per category, and the score thresholds that gave it.

    Attributes
    ----------
    score
        Mean over the images, 0..1.
    per_category, thresholds
        By 0-based category, for those that occur.
    ap50, ap
        COCO mask AP of objects that score above 0.1, mean of the categories, 0..1: at an IoU of
        0.5, and the mean of 0.50 to 0.95.
    predictions
        What was found in each image, from the lowest score that was tried on; to be drawn.
    images
        The images.
    """

    score: float
    per_category: dict[int, float]
    thresholds: dict[int, float]
    ap50: float = 0.0
    ap: float = 0.0
    predictions: list[Instances] = field(default_factory=list)
    images: Sequence[AnnotatedImage] = ()

    def shown(self, number: int) -> Instances:
        """What of image `number` counted: objects above the thresholds of their categories."""
        found = self.predictions[number]
        # A category that no image of the validation shows has no threshold, nor any right object.
        needed = np.array(
            [
                self.thresholds.get(c, np.inf)
                for c in range(int(found.categories.max(initial=0)) + 1)
            ]
        )
        keep = (found.scores >= needed[found.categories]) & (found.masks.area() >= _SMALLEST_MASK)
        return found[keep]


class Looks:
    """Tells of how many images a model has seen, while nothing is learnt yet.

    Parameters
    ----------
    total
        Looks at an image in all.
    monitor
        Hears of each of them, on a scale of their own.
    """

    def __init__(self, total: int, monitor: Monitor) -> None:
        self._total, self._monitor, self._done = total, monitor, 0
        self._tell()

    def add(self) -> None:
        """One more image was looked at."""
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        words = "looking at the images"
        if self._total:
            words += f", {self._done:,} of {self._total:,}"
        self._monitor.progress(words, self._done / max(1, self._total))


@torch.inference_mode()
def validate(
    network: Network,
    images: Sequence[AnnotatedImage],
    monitor: Monitor,
    device: torch.device,
    dtype: torch.dtype,
    looks: Looks | None = None,
) -> ValidationResult:
    """Mean competition score of the images.

    Where every image shows one category, as the data of the competition do, only objects of that
    category count. The threshold of each category is chosen on these same images: good enough to
    compare steps of one run, not a final figure. `looks` hears of each image.
    """
    network.eval()
    one_type = all(len(np.unique(image.categories)) <= 1 for image in images)
    cases = []
    for image in images:
        monitor.check()
        truth = Instances.from_masks(image.masks, categories=image.categories)
        cases.append((truth, predict(network, image, device, dtype)))
        if looks is not None:
            looks.add()
    searched = search_thresholds(
        cases, scores=_SCORES, sizes=(_SMALLEST_MASK,), same_category=one_type
    )
    kinds = 1 + max(int(one.categories.max(initial=0)) for case in cases for one in case)
    precision = coco_average_precision(cases, [str(kind) for kind in range(kinds)]).overall
    total = sum(found.competition_score * found.images for found in searched.values())
    return ValidationResult(
        score=total / max(1, sum(found.images for found in searched.values())),
        per_category={c: found.competition_score for c, found in searched.items()},
        thresholds={c: found.score_threshold for c, found in searched.items()},
        ap50=float(np.nan_to_num(precision.ap50)),
        ap=float(np.nan_to_num(precision.ap)),
        predictions=[_counting(truth, found) if one_type else found for truth, found in cases],
        images=images,
    )


def _counting(truth: Instances, found: Instances) -> Instances:
    """What counts where an image shows one kind of cells: objects of that kind."""
    return found[np.isin(found.categories, truth.categories)] if len(truth) else found


@torch.inference_mode()
def predict(
    network: Network, image: AnnotatedImage, device: torch.device, dtype: torch.dtype
) -> Instances:
    """What a network in evaluation mode finds in an image, from the lowest score of interest on."""
    size = (image.pixels.shape[0], image.pixels.shape[1])
    tensor = _pad(image.pixels, network.size_divisibility)
    tensor = tensor.to(device, memory_format=torch.channels_last)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        detections = network.detect(tensor, DetectLimits(score=_SCORES[0]), [size])[0]
    found = detections.on_host()
    masks = paste(found.mask_probs, found.boxes, size)
    return Instances(size, found.boxes, found.scores, found.labels, masks)


def _pad(pixels: NDArray[np.float16], multiple: int) -> torch.Tensor:
    height, width, channels = pixels.shape
    shape = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
    tensor = torch.zeros((1, channels, *shape))
    tensor[0, :, :height, :width] = torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1))
    return tensor
