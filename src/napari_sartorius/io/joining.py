"""Several datasets as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sartorius.io.coco_dataset import ImageId


def join_datasets(parts: Iterable[CocoDataset]) -> CocoDataset:
    """Several datasets of images in one folder as one; categories are joined by their names."""
    parts = list(parts)
    kinds: dict[str, Category] = {}
    for part in parts:
        for kind in part.categories:
            number = len(kinds) + 1
            kinds.setdefault(kind.name, Category(number, kind.name, kind.colour))
    names = list(kinds)
    images: dict[ImageId, CocoImage] = {}
    found: dict[ImageId, list[Instances]] = {}
    for part in parts:
        places = np.array([names.index(kind.name) for kind in part.categories], np.int64)
        for image in part.images:
            one = part.instances[image.id]
            numbers = places[one.categories] if len(one) else one.categories
            plain = Instances.from_masks(one.masks, one.scores, numbers)
            images.setdefault(image.id, image)
            found.setdefault(image.id, []).append(plain)
    joined = {number: Instances.concatenate(some) for number, some in found.items()}
    folder = parts[0].folder if parts else None
    return CocoDataset(list(images.values()), list(kinds.values()), joined, {}, folder)
