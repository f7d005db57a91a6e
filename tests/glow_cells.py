"""Glowing discs whose best thresholds are known, and a detector for them that needs no weights.

The brightness of a disc is its score, whether it is an odd number its category. Its soft mask falls
from 1 in the middle to 0.25 at its edge; the true cell is where it is at least `TRUE_MASK`. Every
bright disc is found twice, the second time two pixels to the right and with a little less score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.core.paste import paste
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, write_coco
from napari_sartorius.nn.detector import Detections, DetectLimits
from napari_sartorius.zoo import ModelBundle, Thresholds
from tiny_models import save_tiny_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TRUE_MASK = 0.4
SIDE, GRID, RADIUS, CRUMB = 128, 28, 10, 3
NAMES = ("big", "small")
_PLACES = [(y, x) for y in (20, 52, 84, 110) for x in (18, 50, 82, 108)]


def _grid() -> NDArray[np.float32]:
    along = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    distance = np.hypot(along[:, None], along[None])
    return np.maximum(1 - 0.75 * distance, 0).astype(np.float32)


@dataclass
class GlowDetector:
    """Finds every disc, twice where it is bright."""

    size_divisibility: int = 16
    looks: int = 0
    limits: list[DetectLimits] = field(default_factory=list)

    def to(self, device: Any) -> GlowDetector:
        return self

    def detect(
        self,
        batch: torch.Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections]:
        limits = limits or DetectLimits()
        self.looks += len(batch)
        self.limits.append(limits)
        return [self._find(image[0].numpy(), limits) for image in batch]

    def _find(self, image: NDArray[np.float32], limits: DetectLimits) -> Detections:
        labels, _ = ndimage.label(image > 0)
        boxes, scores, kinds = [], [], []
        for rows, columns in ndimage.find_objects(labels):
            bright = round(float(image[rows, columns].max()))
            box = np.array([columns.start, rows.start, columns.stop, rows.stop], np.float32)
            for shift in (0, 2) if rows.stop - rows.start > 2 * CRUMB + 1 else (0,):
                boxes.append(np.add(box, (shift, 0, shift, 0)))
                scores.append(bright / 255 - 0.01 * shift)
                kinds.append(bright % 2)
        score = np.array(scores, np.float32)
        order = np.argsort(-score, kind="stable")
        order = order[score[order] > limits.score]
        return Detections(
            torch.from_numpy(np.array(boxes, np.float32).reshape(-1, 4)[order]),
            torch.from_numpy(score[order]),
            torch.from_numpy(np.array(kinds, np.int64)[order]),
            torch.from_numpy(np.repeat(_grid()[None], len(order), axis=0)),
            False,
        )


@dataclass(frozen=True)
class Glow:
    """What an image shows: brightness of its cells, of other discs, and of crumbs."""

    cells: Sequence[int]
    others: Sequence[int] = ()
    crumbs: Sequence[int] = ()
    group: str | None = None


BIG = Glow((150, 200, 180, 250), (60, 80, 108), (220, 160))
SMALL = Glow((101, 121, 141, 111), (31, 41, 59), (131,))
"""Cells of the first category need a score of 0.43 to 0.58, those of the second 0.24 to 0.39."""


def write_glow(folder: Path, images: Sequence[Glow], names: Sequence[str] = NAMES) -> CocoDataset:
    """Write the images and their truth, and read them again; all are of the split val."""
    records, truth = [], {}
    for number, glow in enumerate(images, start=1):
        picture, boxes = np.zeros((SIDE, SIDE), np.uint8), []
        places = np.random.default_rng(number).permutation(_PLACES).tolist()
        for place, bright in enumerate([*glow.cells, *glow.others, *glow.crumbs]):
            cell, crumb = place < len(glow.cells), place >= len(glow.cells) + len(glow.others)
            (y, x), radius = places[place], CRUMB if crumb else RADIUS
            ys, xs = np.mgrid[:SIDE, :SIDE]
            picture[(ys - y) ** 2 + (xs - x) ** 2 <= radius**2] = bright
            if cell:
                boxes.append((x - radius, y - radius, x + radius + 1, y + radius + 1))
        grids = np.repeat(_grid()[None], len(boxes), axis=0)
        masks = paste(grids, np.array(boxes, np.float32), (SIDE, SIDE), TRUE_MASK)
        kinds = np.full(len(boxes), glow.cells[0] % 2 if len(names) > 1 else 0)
        truth[number] = Instances.from_masks(masks, categories=kinds)
        extra = {"split": "val"} | ({} if glow.group is None else {"group": glow.group})
        Image.fromarray(picture).save(folder / f"{number}.png")
        records.append(CocoImage(number, f"{number}.png", SIDE, SIDE, extra))
    categories = [Category(n, name) for n, name in enumerate(names, start=1)]
    write_coco(folder / "truth.json", CocoDataset(records, categories, truth))
    return read_coco(folder / "truth.json")


def glow_bundle(folder: Path, **changes: Any) -> ModelBundle:
    """A model for the detector above, with thresholds that fit nothing."""
    poor = Thresholds(score=0.15, mask=0.5, nms=0.9, min_size=0)
    facts = {
        "cell_diameter": 20.0,
        "normalisation": Normalisation(method="fixed", mean=0.0, std=1.0),
        "one_category_per_image": True,
        "thresholds": dict.fromkeys(NAMES, poor),
    }
    return save_tiny_bundle(folder, **(facts | changes))
