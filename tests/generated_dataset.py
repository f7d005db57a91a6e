"""A few generated pictures of cells with their truth, as a COCO file beside its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from napari_sartorius.core.categories import Category
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco
from napari_sartorius.samples.phase_contrast import phase_contrast_scene

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 128


def write_generated(folder: Path, count: int, split: str | None = "val") -> Path:
    """Write `count` pictures of some cells each; give the COCO file."""
    images, instances = [], {}
    for number in range(1, count + 1):
        picture, truth = phase_contrast_scene((SIDE, SIDE), seed=number, cells=6)
        Image.fromarray(picture).save(folder / f"{number}.png")
        extra = {} if split is None else {"split": split}
        images.append(CocoImage(number, f"{number}.png", SIDE, SIDE, extra))
        instances[number] = truth
    path = folder / "annotations.json"
    write_coco(path, CocoDataset(images, [Category(1, "cort")], dict(instances)))
    return path
