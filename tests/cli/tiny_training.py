"""The smallest training that is one: four pictures of squares and a network of a few weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from cli_fakes import squares
from PIL import Image

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco
from tiny_models import tiny_architecture

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "architecture": tiny_architecture(num_classes=1).model_dump(mode="json"),
    "crop": 64,
    "batch_size": 1,
    "steps": 2,
    "validate_every": 2,
    "checkpoint_every": 1,
    "device": "cpu",
}


def write_squares(folder: Path) -> Path:
    """Write four annotated pictures, two of them for validation; give the COCO file."""
    images, instances = [], {}
    for number in (1, 2, 3, 4):
        picture = squares(5 + number)
        Image.fromarray(picture).save(folder / f"{number}.png")
        count = 5 + number
        origins = np.array([(4 + 8 * (i % 7), 4 + 8 * (i // 7)) for i in range(count)])
        masks = CropMasks.from_bitmaps([np.ones((4, 4), bool)] * count, origins, (64, 64))
        split = {"split": "train" if number < 3 else "val"}
        images.append(CocoImage(number, f"{number}.png", 64, 64, split))
        instances[number] = Instances.from_masks(masks)
    path = folder / "annotations.json"
    write_coco(path, CocoDataset(images, [Category(1, "square")], dict(instances)))
    return path
