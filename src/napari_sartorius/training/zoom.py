"""Cells of a new domain brought to the size at which the model works best.

A network finds cells of the sizes that it was trained on. Where the corrected cells are much larger
or smaller, enlarging or shrinking the images is worth more than many steps of training, and costs
nothing but a look at them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_sartorius.core.masks import CropMasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.training.images import AnnotatedImage

ZOOMS = (0.6, 1.0, 1.6)
"""Zooms that are tried besides the one that brings the cells to the model's own size."""

_SMALLEST, _LARGEST = 0.35, 3.0
# A zoom makes every later image slower or coarser: it must be worth that.
_WORTH = 0.02
# A model that finds hardly a cell at any zoom says nothing about zooms.
_TELLING = 0.1
# Zooms closer than this are one.
_SAME = 0.15


def zoomed(image: AnnotatedImage, zoom: float) -> AnnotatedImage:
    """The image and its masks enlarged (> 1) or shrunk (< 1).

    Pixels are interpolated, and averaged where they shrink; masks take the nearest pixel.
    """
    if zoom == 1:
        return image
    height, width = image.pixels.shape[:2]
    size = max(1, round(height * zoom)), max(1, round(width * zoom))
    tensor = torch.from_numpy(image.pixels.astype(np.float32).transpose(2, 0, 1))[None]
    pixels = functional.interpolate(tensor, size=size, mode="bilinear", antialias=zoom < 1)[0]
    return replace(
        image,
        pixels=pixels.numpy().transpose(1, 2, 0).astype(np.float16),
        masks=_zoomed_masks(image.masks, size),
    )


def _zoomed_masks(masks: CropMasks, size: tuple[int, int]) -> CropMasks:
    (height, width), (new_height, new_width) = masks.image_size, size
    # The old row and column that the middle of each new one lies in.
    rows = ((np.arange(new_height) + 0.5) * height / new_height).astype(np.int64)
    columns = ((np.arange(new_width) + 0.5) * width / new_width).astype(np.int64)
    bitmaps, origins = [], []
    for number, (x0, y0, x1, y1) in enumerate(masks.boxes.tolist()):
        top, bottom = np.searchsorted(rows, (y0, y1))
        left, right = np.searchsorted(columns, (x0, x1))
        bits = masks.bits[masks.offsets[number] : masks.offsets[number + 1]]
        bitmap = bits.reshape(y1 - y0, x1 - x0)
        bitmaps.append(bitmap[rows[top:bottom] - y0][:, columns[left:right] - x0])
        origins.append((left, top))
    if not bitmaps:
        return CropMasks.empty(size)
    return CropMasks.from_bitmaps(bitmaps, np.asarray(origins), size)


def zooms_to_try(images: Sequence[AnnotatedImage], model_diameter: float) -> list[float]:
    """Zooms that may be better than none: some, and that which makes cells as large as the model's.

    Parameters
    ----------
    images, model_diameter
        As for `choose_zoom`.

    Returns
    -------
    list of float
        With 1; empty where there is no cell.
    """
    fitting = _fitting(images, model_diameter)
    if fitting is None:
        return []
    tried = list(ZOOMS)
    if all(abs(np.log(fitting / other)) > _SAME for other in tried):
        tried.append(fitting)
    return tried


def choose_zoom(
    images: Sequence[AnnotatedImage],
    model_diameter: float,
    score: Callable[[Sequence[AnnotatedImage]], float] | None,
) -> float:
    """By how much to enlarge images so that a model finds most of their cells.

    Parameters
    ----------
    images
        Corrected images.
    model_diameter
        Cell diameter that the model was trained on, pixels.
    score
        How well the untrained start does on images, 0..1; each zoom is tried with it. None where
        that cannot be measured: then cells that differ much from `model_diameter` are brought to
        it.

    Returns
    -------
    float
        1 unless another zoom is clearly better.
    """
    fitting = _fitting(images, model_diameter)
    if fitting is None:
        return 1.0
    if score is None:
        return 1.0 if 0.5 <= fitting <= 2 else fitting
    tried = zooms_to_try(images, model_diameter)
    scores = {zoom: score([zoomed(image, zoom) for image in images]) for zoom in tried}
    best = max(scores, key=lambda zoom: scores[zoom])
    worth = scores[best] > max(scores[1.0] + _WORTH, _TELLING)
    return best if worth else 1.0


def _fitting(images: Sequence[AnnotatedImage], model_diameter: float) -> float | None:
    """The zoom that makes cells as large as those that a model was trained on; None without any."""
    areas: NDArray[np.float64] = np.concatenate([image.masks.area() for image in images])
    if not len(areas):
        return None
    fitting = model_diameter / float(np.sqrt(np.median(areas) * 4 / np.pi))
    return round(min(max(fitting, _SMALLEST), _LARGEST), 2)
