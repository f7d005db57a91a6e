"""Generated annotated images for what checks, repairs, splits and converts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco import CocoDataset, CocoImage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SIDE = 64
_CENTRES = ((14, 14), (14, 46), (46, 14), (46, 46), (30, 30), (8, 30))


def disc(y: int, x: int, radius: int, side: int = SIDE) -> NDArray[np.bool_]:
    """A filled disc on a full frame."""
    yy, xx = np.mgrid[:side, :side]
    inside: NDArray[np.bool_] = (yy - y) ** 2 + (xx - x) ** 2 <= radius**2
    return inside


def discs(radius: int = 6) -> list[NDArray[np.bool_]]:
    """Six discs apart from each other."""
    return [disc(y, x, radius) for y, x in _CENTRES]


def write_picture(path: Path, seed: int, side: int = SIDE) -> None:
    """Noise that no other seed gives."""
    grey = np.random.default_rng(seed).integers(0, 255, (side, side))
    Image.fromarray(grey.astype(np.uint8)).save(path)


def dataset_of_masks(
    folder: Path,
    frames: Sequence[Sequence[NDArray[np.bool_]]],
    extra: Sequence[dict[str, Any]] | None = None,
    names: Sequence[str] = ("round",),
) -> CocoDataset:
    """One picture per list of full-frame masks; objects of image i are of category i modulo."""
    images, instances = [], {}
    for n, masks in enumerate(frames):
        write_picture(folder / f"{n}.png", n)
        record = CocoImage(n + 1, f"{n}.png", SIDE, SIDE, dict(extra[n]) if extra else {})
        images.append(record)
        stack = np.stack(masks) if masks else np.zeros((0, SIDE, SIDE), bool)
        kinds = np.full(len(masks), n % len(names), np.int64)
        objects = Instances.from_masks(CropMasks.from_full(stack), categories=kinds)
        objects.columns["annotation_id"] = np.arange(len(masks)) + 100 * (n + 1)
        instances[n + 1] = objects
    kinds_ = [Category(i + 1, name) for i, name in enumerate(names)]
    return CocoDataset(images, kinds_, dict(instances), {}, folder)


def records_only(groups: Sequence[str], kinds: Sequence[str]) -> CocoDataset:
    """Records without objects or files, with ``group`` and ``cell_type``."""
    images = [
        CocoImage(n, f"{n}.png", 8, 8, {"group": group, "cell_type": kind})
        for n, (group, kind) in enumerate(zip(groups, kinds, strict=True))
    ]
    empty = {image.id: Instances.empty((8, 8)) for image in images}
    return CocoDataset(images, [Category(1, "cell")], dict(empty))
