"""Repairs that are safe, each told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core import flat
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.wording import plural
from napari_sartorius.io.images import IMAGE_SUFFIXES, read_image
from napari_sartorius.postprocess.shapes import fill_holes
from napari_sartorius.training.doctor.config import DoctorConfig
from napari_sartorius.training.doctor.objects import mask_facts
from napari_sartorius.training.doubled_masks import doubled_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.io.coco_dataset import CocoDataset, ImageId


@dataclass
class _Counts:
    """What was done, in objects."""

    cleaned: int = 0
    filled: int = 0
    empty: int = 0
    doubled: int = 0

    def lines(self) -> list[str]:
        done = {
            "cut to its keep-mask": self.cleaned,
            "hollow, filled": self.filled,
            "without pixels, dropped": self.empty,
            "doubled, dropped": self.doubled,
        }
        return [f"{plural(count, 'mask')} {what}" for what, count in done.items() if count]


def fix_dataset(
    dataset: CocoDataset,
    config: DoctorConfig | None = None,
    *,
    holes: bool = False,
    keep_masks: str | Path | None = None,
) -> tuple[CocoDataset, list[str]]:
    """Repair what can be repaired without a judgement.

    Categories of one name become one, masks without pixels and masks that repeat an earlier one
    are dropped. Records that could not be read are gone already when the dataset comes from
    `read_for_check`, and outlines are cut at the image's border.

    Parameters
    ----------
    dataset
        Annotated images; stays as it is.
    config
        Limits, as for the check.
    holes
        Also fill the holes of masks that are hollow or striped. Not done unasked: a ring may be
        meant.
    keep_masks
        Folder of pictures named as the images are; where their first channel is zero, no mask may
        have pixels. Made by people for the faulty astrocytes of the Sartorius competition.

    Returns
    -------
    dataset, lines
        The repaired dataset, and what was done, a sentence each.

    Raises
    ------
    UserError
        When there is no folder `keep_masks`, or a picture in it cannot be used.
    """
    config = config or DoctorConfig()
    dataset, lines = _one_category_per_name(dataset)
    kept_places = _keep_masks(Path(keep_masks)) if keep_masks is not None else {}
    counts = _Counts()
    instances: dict[ImageId, Instances] = {}
    for image in dataset.images:
        objects = dataset.instances[image.id]
        if image.stem in kept_places and len(objects):
            objects = _cleaned(objects, kept_places[image.stem], counts)
        if holes and len(objects):
            objects = _filled(objects, config, counts)
        instances[image.id] = _without(objects, config, counts)
    return replace(dataset, instances=instances), lines + counts.lines()


def _one_category_per_name(dataset: CocoDataset) -> tuple[CocoDataset, list[str]]:
    names = dataset.category_names
    first = {name: names.index(name) for name in names}
    if len(first) == len(names):
        return dataset, []
    kept = sorted(first.values())
    place = np.array([kept.index(first[name]) for name in names], np.int64)
    instances = {
        number: replace(one, categories=place[one.categories])
        for number, one in dataset.instances.items()
    }
    double = sorted({name for name in names if names.count(name) > 1})
    kinds = [dataset.categories[n] for n in kept]
    lines = [f"made one category of those called '{name}'" for name in double]
    return replace(dataset, categories=kinds, instances=instances), lines


def _keep_masks(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder, expected the one with the keep-masks.")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    return {path.stem: path for path in paths}


def _cleaned(objects: Instances, path: Path, counts: _Counts) -> Instances:
    pixels: NDArray[Any] = read_image(path).to_array()
    keep = (pixels[..., 0] if pixels.ndim == 3 else pixels) != 0
    if keep.shape != objects.image_size:
        raise UserError(
            f"{path} is {keep.shape[1]} x {keep.shape[0]} pixels but its image is "
            f"{objects.image_size[1]} x {objects.image_size[0]}: give the keep-mask of this image."
        )
    masks = objects.masks
    bits = np.zeros_like(masks.bits)
    box = masks.boxes.astype(np.int64)
    for at in flat.set_pixels(masks.bits, masks.boxes, masks.offsets):
        x0, y0, x1, _ = box[at.instance].T
        where = masks.offsets[at.instance] + (at.y - y0) * (x1 - x0) + at.x - x0
        bits[where] = keep[at.y, at.x]
    cleaned = CropMasks(bits, masks.boxes, masks.image_size)
    counts.cleaned += int(np.count_nonzero(cleaned.area() < masks.area()))
    return objects.with_masks(cleaned.tight())


def _filled(objects: Instances, config: DoctorConfig, counts: _Counts) -> Instances:
    facts = mask_facts(objects, config)
    chosen = facts.hole_share > config.hollow_share
    chosen |= (facts.stripe_share > config.stripe_share) & (facts.hole_share > 0)
    counts.filled += int(np.count_nonzero(chosen))
    return fill_holes(objects, chosen) if chosen.any() else objects


def _without(objects: Instances, config: DoctorConfig, counts: _Counts) -> Instances:
    if not len(objects):
        return objects
    empty = objects.masks.area() == 0
    doubled = doubled_masks(objects.masks, config.doubled_iou) & ~empty
    counts.empty += int(np.count_nonzero(empty))
    counts.doubled += int(np.count_nonzero(doubled))
    return objects[~empty & ~doubled] if (empty | doubled).any() else objects
