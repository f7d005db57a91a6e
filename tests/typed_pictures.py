"""Small annotated pictures of which each shows one kind of cell, for recipes and classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIDE = 96


def picture(kind: int, seed: int) -> tuple[np.ndarray, CropMasks]:
    """Discs on noise: kind 0 bright, 1 dark, 2 bright and small, ... and their masks."""
    rng = np.random.default_rng((kind, seed))
    pixels = rng.normal(110, 4, (SIDE, SIDE))
    yy, xx = np.mgrid[:SIDE, :SIDE]
    radius = 9 if kind < 2 else 6
    masks = []
    for y in range(16, SIDE, 32):
        for x in range(16, SIDE, 32):
            dy, dx = rng.integers(-4, 5, 2)
            mask = (yy - y - dy) ** 2 + (xx - x - dx) ** 2 <= radius**2
            pixels[mask] += 60 if kind % 2 == 0 else -60
            masks.append(mask)
    return pixels.clip(0, 255).astype(np.uint8), CropMasks.from_full(np.stack(masks))


def write_typed(
    folder: Path, names: Sequence[str], each: int, split: bool = True, seed: int = 0
) -> Path:
    """Write `each` pictures of every kind; give the COCO file. Every third one validates."""
    folder.mkdir(parents=True, exist_ok=True)
    images, instances = [], {}
    for number in range(each * len(names)):
        kind, count = number % len(names), number // len(names)
        pixels, masks = picture(kind, seed + count)
        file = f"{names[kind]}_{count}.png"
        Image.fromarray(pixels).save(folder / file)
        extra = {"cell_type": names[kind]}
        if split:
            extra["split"] = "val" if count % 3 == 2 else "train"
        images.append(CocoImage(number + 1, file, SIDE, SIDE, extra))
        kinds = np.full(len(masks), kind, np.int64)
        instances[number + 1] = Instances.from_masks(masks, categories=kinds)
    path = folder / "annotations.json"
    write_coco(path, CocoDataset(images, categories_from_names(list(names)), dict(instances)))
    return path


def write_unlabelled(folder: Path, names: Sequence[str], each: int, seed: int = 50) -> Path:
    """Write pictures whose names tell their type as those of the competition; give the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, name in enumerate(names):
        for number in range(each):
            well = f"{name}[plate]_C{number}-1_Vessel-376_Ph_{number}.png"
            Image.fromarray(picture(kind, seed + number)[0]).save(folder / well)
    return folder
