"""Packed images brought to the size at which a network is to see them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.inference.rescale import Rescaler
from napari_sartorius.inference.tiling import Rectangle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.zoo.card import InputSize


def resized(image: AnnotatedImage, rule: InputSize) -> AnnotatedImage:
    """The image at the size that a rule gives it, its masks with it.

    Pixels are interpolated as they are when segmenting; masks take the nearest pixel.

    Parameters
    ----------
    image
        Packed.
    rule
        As in the card of the model that will come out.
    """
    size = (image.pixels.shape[0], image.pixels.shape[1])
    rescaler = Rescaler(size, rule.factor(size), rule=rule)
    if rescaler.size == size:
        return image

    def read(part: Rectangle) -> NDArray[Any]:
        return image.pixels[part.y0 : part.y1, part.x0 : part.x1].astype(np.float32)

    pixels = rescaler.window(read, Rectangle(0, 0, *rescaler.size))
    masks = resize_masks(image.masks, rescaler.size)
    # An object of a pixel or two may fall between the pixels of a smaller image.
    kept = masks.area() > 0
    return replace(
        image,
        pixels=pixels.astype(np.float16),
        masks=masks[kept],
        categories=image.categories[kept],
    )


def resize_masks(masks: CropMasks, size: tuple[int, int]) -> CropMasks:
    """Masks on an image of another (height, width): each pixel is that at the same place before."""
    factor_y, factor_x = size[0] / masks.image_size[0], size[1] / masks.image_size[1]
    bitmaps, origins = [], []
    for box, bitmap in zip(masks.boxes.tolist(), masks, strict=True):
        x0, y0, x1, y1 = box
        columns = np.arange(int(x0 * factor_x), min(size[1], int(np.ceil(x1 * factor_x))))
        rows = np.arange(int(y0 * factor_y), min(size[0], int(np.ceil(y1 * factor_y))))
        from_x = ((columns + 0.5) / factor_x).astype(np.int64) - x0
        from_y = ((rows + 0.5) / factor_y).astype(np.int64) - y0
        inside_x, inside_y = (from_x >= 0) & (from_x < x1 - x0), (from_y >= 0) & (from_y < y1 - y0)
        columns, rows = columns[inside_x], rows[inside_y]
        bitmaps.append(bitmap[np.ix_(from_y[inside_y], from_x[inside_x])])
        origins.append((columns[0] if len(columns) else x0, rows[0] if len(rows) else y0))
    if not bitmaps:
        return CropMasks.empty(size)
    origins_xy = np.minimum(np.array(origins), np.array([size[1], size[0]]))
    return CropMasks.from_bitmaps(bitmaps, origins_xy, size)
