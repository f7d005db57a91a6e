"""Objects too large to be a cell: a labelled background, all cells with one number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.runs import runs_of_bits
from napari_sartorius.postprocess.components import components_of_runs
from napari_sartorius.training.doctor.objects import about_objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.masks import CropMasks
    from napari_sartorius.io.coco_dataset import CocoDataset, CocoImage, ImageId
    from napari_sartorius.training.doctor.config import DoctorConfig
    from napari_sartorius.training.doctor.finding import Finding, Severity
    from napari_sartorius.training.doctor.objects import MaskFacts


def giant_findings(
    dataset: CocoDataset,
    facts: Mapping[ImageId, MaskFacts],
    config: DoctorConfig,
    model_diameter: float | None = None,
) -> list[Finding]:
    """Objects that cover too much of their image.

    A large cell that fills a picture of its own may be meant, so an only object is refused only
    where something tells that cells are far smaller.

    Parameters
    ----------
    dataset
        Annotated images.
    facts
        Of the images whose masks were measured.
    config
        Limits.
    model_diameter
        Cell diameter in pixels of the model that is trained further.
    """
    areas = {number: _cell_areas(dataset.instances[number], fact) for number, fact in facts.items()}
    never_several = all(np.count_nonzero(some) <= 1 for some in areas.values())
    fewest_parts = min(config.some_parts, config.many_parts) if never_several else config.many_parts
    found = []
    for image in dataset.images:
        if image.id in areas and areas[image.id].any():
            usual = _Usual(dataset, areas, image, config, model_diameter)
            objects = dataset.instances[image.id]
            found += _of_image(image, objects, areas[image.id], config, usual, fewest_parts)
    return found


def _cell_areas(objects: Instances, facts: MaskFacts) -> NDArray[np.int64]:
    """Areas of all objects, (G,) pixels; 0 for regions that stand for a crowd of cells."""
    crowd = objects.columns.get("iscrowd")
    return facts.area if crowd is None else np.where(np.asarray(crowd) > 0, 0, facts.area)


class _Usual:
    """How large a cell is, by what is known apart from one image; asked for rarely."""

    def __init__(
        self,
        dataset: CocoDataset,
        areas: Mapping[ImageId, NDArray[np.int64]],
        image: CocoImage,
        config: DoctorConfig,
        model_diameter: float | None,
    ) -> None:
        self._dataset, self._areas, self._image = dataset, areas, image
        self._evidence, self._large = config.alone_evidence, config.alone_share
        self._of_model = np.pi / 4 * model_diameter**2 if model_diameter else None

    def area(self, category: int) -> tuple[float, str] | None:
        """Pixels, and whose they are; None where nothing tells.

        Images with several objects tell most: there cells are told apart. Where there are none,
        only objects of the other images and the model count alike, and the smaller tells. Objects
        that are as suspicious themselves tell nothing.
        """
        several = self._of_others(category, alone=False)
        if several is not None:
            return several, "the cells in the other images"
        known = [
            (self._of_others(category, alone=True), "the cells in the other images"),
            (self._of_model, "the model's cells (if it is one cell, reduce the image)"),
        ]
        return min(((area, whose) for area, whose in known if area is not None), default=None)

    def _of_others(self, category: int, *, alone: bool) -> float | None:
        found = []
        for number, areas in self._areas.items():
            if number == self._image.id or (np.count_nonzero(areas) == 1) != alone:
                continue
            objects = self._dataset.instances[number]
            if alone and areas.max() > self._large * math.prod(objects.image_size):
                continue
            same = objects.categories == category
            found.append(areas[same & (areas > 0)])
        together = np.concatenate(found) if found else np.zeros(0)
        return float(np.median(together)) if len(together) >= self._evidence else None


def _of_image(
    image: CocoImage,
    objects: Instances,
    areas: NDArray[np.int64],
    config: DoctorConfig,
    usual: _Usual,
    fewest_parts: int,
) -> list[Finding]:
    share = areas / (image.width * image.height)
    largest = float(share.max())
    alone = np.count_nonzero(areas) == 1
    rows = np.flatnonzero(areas) if alone else np.flatnonzero(share > config.giant_share)
    severity: Severity = "error"
    if largest > config.background_share:
        rows = np.flatnonzero(share > config.background_share)
        rest = " and is the only one there" if alone else ", as a labelled background does"
        text = f"one object covers {largest:.0%} of the image{rest}"
    elif alone and (parts := _parts(objects.masks)) >= fewest_parts:
        severity = "error" if parts >= config.many_parts else "warning"
        text = f"its only object lies in {parts} parts, like a mask of all cells together"
        largest = float(parts)
    elif alone and largest > config.alone_share:
        text = f"its only object covers {largest:.0%} of the image"
        known = usual.area(int(objects.categories[rows[0]]))
        if known is None:
            severity = "warning"
            text += ", and nothing tells whether cells are so large"
        elif areas.max() >= config.alone_factor * known[0]:
            text += f", {areas.max() / known[0]:.0f} times as much as {known[1]}"
        elif largest > config.giant_share:
            severity = "warning"
        else:
            return []
    elif rows.size and not alone:
        severity = "warning"
        text = f"one object covers {largest:.0%} of the image"
    else:
        return []
    return [about_objects("giant", severity, text, image, objects, rows, largest)]


def _parts(masks: CropMasks) -> int:
    """Number of connected parts of all masks."""
    wide = masks.boxes.astype(np.int64)
    runs = runs_of_bits(masks.bits, masks.offsets, wide[:, 2] - wide[:, 0], wide[:, [1, 0]])
    return int(components_of_runs(runs, corners=True).max(initial=-1)) + 1
