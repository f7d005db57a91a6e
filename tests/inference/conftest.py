"""A detector without weights: it finds bright discs exactly, so tiling can be judged exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.detector import Detections, DetectLimits

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class DiscDetector:
    """Every connected bright region is an object; its category follows from its brightness.

    A region's score is its filling of its box, so that pieces of discs score like discs.
    """

    size_divisibility: int = 16
    grid: int = 56
    out_of_memory: int = 0
    error: Exception | None = None
    capped: bool = False
    batches: list[tuple[int, ...]] = field(default_factory=list)
    limits: list[DetectLimits | None] = field(default_factory=list)
    device: str = "cpu"

    def to(self, device: Any) -> DiscDetector:
        self.device = str(device)
        return self

    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections]:
        if self.out_of_memory:
            self.out_of_memory -= 1
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        if self.error is not None:
            raise self.error
        self.batches.append(tuple(batch.shape))
        self.limits.append(limits)
        sizes = image_sizes or [(batch.shape[2], batch.shape[3])] * len(batch)
        return [
            self._find(image[0, :h, :w].float().numpy(), limits or DetectLimits())
            for image, (h, w) in zip(batch, sizes, strict=True)
        ]

    def _find(self, image: NDArray[np.float32], limits: DetectLimits) -> Detections:
        labels, _ = ndimage.label(image > 0.5)
        boxes, scores, kinds, grids = [], [], [], []
        for i, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
            bitmap = (labels[rows, columns] == i).astype(np.float32)
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            scores.append(0.6 + 0.1 * min(1.0, float(bitmap.mean())))
            kinds.append(int(image[rows, columns][bitmap > 0].max() > 1.5))
            nearest = [
                ((np.arange(self.grid) + 0.5) / self.grid * side).astype(int)
                for side in bitmap.shape
            ]
            grids.append(bitmap[np.ix_(*nearest)])
        count = min(len(boxes), limits.max_detections)
        return Detections(
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)[:count],
            torch.tensor(scores, dtype=torch.float32)[:count],
            torch.tensor(kinds, dtype=torch.int64)[:count],
            torch.tensor(np.array(grids), dtype=torch.float32).reshape(-1, self.grid, self.grid)[
                :count
            ],
            self.capped or count < len(boxes),
        )


@pytest.fixture(scope="session")
def disc_detector() -> type[DiscDetector]:
    return DiscDetector


def paint_discs(
    size: tuple[int, int], centres: NDArray[Any], radii: NDArray[Any], values: Any = 1.0
) -> NDArray[np.float32]:
    """Discs of a brightness on a black image."""
    image = np.zeros(size, np.float32)
    for (y, x), radius, value in zip(
        centres, radii, np.broadcast_to(values, len(centres)), strict=True
    ):
        y0, x0 = max(int(y - radius), 0), max(int(x - radius), 0)
        y1, x1 = min(int(y + radius) + 2, size[0]), min(int(x + radius) + 2, size[1])
        ys, xs = np.mgrid[y0:y1, x0:x1]
        image[y0:y1, x0:x1][(ys - y) ** 2 + (xs - x) ** 2 <= radius**2] = value
    return image


@pytest.fixture(scope="session")
def discs() -> Any:
    return paint_discs


@pytest.fixture(scope="session")
def scattered() -> Any:
    """Centres and radii of discs that do not touch."""

    def place(
        size: tuple[int, int], spacing: int, radii: tuple[float, float], seed: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        generator = np.random.default_rng(seed)
        ys, xs = np.mgrid[spacing // 2 : size[0] : spacing, spacing // 2 : size[1] : spacing]
        centres = np.stack([ys.ravel(), xs.ravel()], axis=1).astype(float)
        free = spacing / 2 - radii[1] - 1.5
        centres += generator.uniform(-free, free, centres.shape)
        return centres, generator.uniform(*radii, len(centres))

    return place


@pytest.fixture(scope="session")
def card() -> Any:
    """What the segmenter reads of a model card, for two kinds of discs."""
    thresholds = SimpleNamespace(score=0.3, mask=0.5, nms=0.5, min_size=5, vote=1.0)
    return cast(
        "Any",
        SimpleNamespace(
            name="discs",
            category_names=["dim", "bright"],
            cell_diameter=20.0,
            pixel_size=0.5,
            input_channels=1,
            normalisation=Normalisation(method="fixed", mean=0.0, std=1.0),
            input_size=None,
            image_diameter=None,
            whole_grey_levels=False,
            precision="auto",
            box_nms=None,
            max_objects=None,
            mask_pasting="exact",
            filters=(),
            rescorer=None,
            one_category_per_image=False,
            views={
                "fast": ("identity",),
                "balanced": ("identity", "horizontal"),
                "best": ("identity", "horizontal", "vertical", "both"),
            },
            thresholds_of=lambda name: thresholds,
        ),
    )
