"""What every network offers, so that ensembles and the segmenter need not know its family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from napari_sartorius.core.found import Found


@dataclass(frozen=True)
class DetectLimits:
    """Every limit that can drop an object.

    Parameters
    ----------
    score
        Boxes at or below this score are dropped, 0..1.
    nms
        Boxes of one category that overlap a better one by more than this IoU are dropped, 0..1.
    max_detections
        At most this many boxes per image, best first.
    wanted
        Score per category from which an object will be kept by whoever asks; empty when all are.
        It drops nothing: it says which objects count when a limit is reported.
    part
        Whether the image is a part of a larger one. Where the tree lets limits grow with an image
        they then shrink with it too, so that an image is looked at alike in whatever parts.
    """

    score: float = 0.05
    nms: float = 0.5
    max_detections: int = 1000
    wanted: tuple[float, ...] = ()
    part: bool = False


def growth_of(image_size: tuple[int, int], area: int, part: bool) -> float:
    """How much larger a limit is for an image than for one of `area` pixels.

    Parameters
    ----------
    image_size
        (height, width).
    area
        Pixels that the limit was made for; smaller images have the same one.
    part
        As in `DetectLimits`: then it may shrink.
    """
    growth = image_size[0] * image_size[1] / area
    return growth if part else max(1.0, growth)


@dataclass
class Detections:
    """Objects of one image in the pixels of the network's input.

    Attributes
    ----------
    boxes
        (N, 4) float32, xyxy, pixel edges, inside the image, best score first.
    scores
        (N,) float32, 0..1.
    labels
        (N,) int64, 0-based categories.
    mask_probs
        (N, M, M) float32, 0..1: the mask of the predicted category inside its box.
    capped
        True when a top-k limit (proposals or detections) has probably cost wanted objects.
    columns
        (N,) float32 each: what else this family of networks knows of every object.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    mask_probs: Tensor
    capped: bool
    columns: dict[str, Tensor] = field(default_factory=dict)

    def on_host(self) -> Found:
        """Copy to the host as numpy."""
        return Found(
            self.boxes.float().cpu().numpy(),
            self.scores.float().cpu().numpy(),
            self.labels.long().cpu().numpy(),
            self.mask_probs.float().cpu().numpy(),
            self.capped,
            {name: one.float().cpu().numpy() for name, one in self.columns.items()},
        )


@dataclass
class Proposals:
    """Candidate boxes of one image: (N, 4) xyxy float32 and their (N,) logits, best first."""

    boxes: Tensor
    logits: Tensor
    capped: bool = False


@dataclass
class ScoredBoxes:
    """Class probabilities (N, K + 1), background last, and boxes (N, K or 1, 4) of one image."""

    probabilities: Tensor
    boxes: Tensor


class Detector(Protocol):
    """A network whose stages can be called one by one.

    Ensembles average over models and views between these four calls (11th-place system), and an
    edited box gets its mask by `predict_masks` alone.
    """

    size_divisibility: int

    def features(self, batch: Tensor) -> list[Tensor]:
        """Pyramid of feature maps, finest first, of a (B, C, H, W) normalised batch."""
        ...

    def propose(
        self, features: list[Tensor], image_sizes: list[tuple[int, int]]
    ) -> list[Proposals]:
        """Candidate boxes of each image, clipped to its (height, width)."""
        ...

    def score_boxes(
        self,
        features: list[Tensor],
        boxes: list[Tensor],
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[ScoredBoxes]:
        """Class probabilities and refined boxes for given boxes of each image.

        Networks that refine in several stages clip boxes to `image_sizes` in between.
        """
        ...

    def predict_masks(self, features: list[Tensor], boxes: list[Tensor]) -> list[Tensor]:
        """Mask probabilities (N, K or 1, M, M) for given boxes of each image."""
        ...

    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits = ...,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections]:
        """All stages in turn; `image_sizes` tells the unpadded (height, width) of each image."""
        ...
