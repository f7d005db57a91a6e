"""What cannot be shown on one image as it is: records that leave it, and two images at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco_segmentation import decode_segmentations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = tuple[NDArray[Any], Instances]

_AIR = 8  # pixels of border around what leaves the image
_LINE = 2  # pixels of a box's line
_STRIPE = 6  # pixels of a stripe of the border
_GAP = 12  # pixels between two images


def with_record(pixels: NDArray[Any], record: dict[str, Any]) -> Picture | None:
    """Draw an annotation as its file has it, on the image with a border for what lies beyond.

    Parameters
    ----------
    pixels
        (Y, X) or (Y, X, C).
    record
        ``segmentation`` (in any form, of an image of any size) and ``bbox`` of a COCO annotation,
        whatever is there.

    Returns
    -------
    pixels, objects
        The image with a striped border where the annotation leaves it, by half of the longer side
        at most; what lies inside and what lies beyond as an object each. None where the record
        draws nothing.
    """
    height, width = pixels.shape[:2]
    box, outline = _box(record.get("bbox")), _outline(record.get("segmentation"))
    extents = [one for one in (box, None if outline is None else outline[0]) if one is not None]
    if not extents:
        return None
    most = max(height, width) // 2
    end = np.array([width, height])
    low = np.clip(np.floor(np.min(extents, axis=0)[:2]), -most, end + most).astype(int)
    high = np.clip(np.ceil(np.max(extents, axis=0)[2:]), -most, end + most).astype(int)
    # What lies wholly on one side needs that border, too.
    before = np.maximum(0, -np.minimum(low, high)) + _AIR * (low < 0)
    after = np.maximum(0, np.maximum(low, high) - end) + _AIR * (high > end)
    columns, rows = (before + end + after).tolist()
    canvas = _striped(pixels, (rows, columns))
    there = tuple(slice(b, b + e) for b, e in zip(before[::-1], end[::-1], strict=True))
    canvas[there] = pixels
    marked = np.zeros((rows, columns), bool)
    if outline is not None:
        marked |= _on_canvas(outline[1], before, marked.shape)
    if box is not None and (not marked.any() or box[:2].min() < 0 or (box[2:] > end).any()):
        marked |= _frame(box, before, marked.shape)
    if not marked.any():  # all of it is farther away than the border reaches
        marked |= _frame(np.concatenate([low, high]), before, marked.shape)
    inside = np.zeros_like(marked)
    inside[there] = True
    parts = [part for part in (marked & inside, marked & ~inside) if part.any()]
    return canvas, Instances.from_masks(CropMasks.from_full(np.stack(parts)))


def side_by_side(first: Picture, second: Picture) -> Picture:
    """Two images with their objects as one picture.

    Parameters
    ----------
    first, second
        Pixels (Y, X) or (Y, X, C) and the objects on them.
    """
    pictures = [first[0], second[0]]
    if pictures[0].shape[2:] != pictures[1].shape[2:]:
        pictures = [one if one.ndim == 3 else np.dstack([one] * 3) for one in pictures]
        pictures = [one[..., :3] for one in pictures]
    start = pictures[0].shape[1] + _GAP
    size = max(len(one) for one in pictures), start + pictures[1].shape[1]
    canvas = _striped(pictures[0], size)
    parts = []
    for pixels, (_, objects), left in zip(pictures, (first, second), (0, start), strict=True):
        canvas[: pixels.shape[0], left : left + pixels.shape[1]] = pixels
        masks = objects.masks
        boxes = masks.boxes + np.array([left, 0, left, 0], masks.boxes.dtype)
        parts.append(CropMasks(masks.bits, boxes, size))
    return canvas, Instances.from_masks(CropMasks.concatenate(parts))


def _box(box: Any) -> NDArray[np.float64] | None:
    """Corners (4,) xyxy of a ``bbox``; None where it is none."""
    try:
        x, y, w, h = (float(value) for value in box)
    except (TypeError, ValueError):
        return None
    corners = np.array([min(x, x + w), min(y, y + h), max(x, x + w), max(y, y + h)])
    return corners if np.isfinite(corners).all() else None


def _outline(segmentation: Any) -> tuple[NDArray[np.float64], Any] | None:
    """Extent (4,) xyxy, and a mask or polygons (N, 2) xy; None where nothing can be read."""
    try:
        if isinstance(segmentation, dict):
            height, width = (int(side) for side in segmentation["size"])
            masks = decode_segmentations([segmentation], ["it"], (height, width)).tight()
            return (masks.boxes[0].astype(float), masks) if masks.area()[0] else None
        parts = [segmentation] if isinstance(segmentation[0], int | float) else segmentation
        polygons = [np.asarray(part, float).reshape(-1, 2) for part in parts]
        points = np.concatenate(polygons)
        if not np.isfinite(points).all():
            return None
        return np.concatenate([points.min(axis=0), points.max(axis=0)]), polygons
    except (LookupError, TypeError, ValueError, OverflowError, MemoryError):
        return None


def _on_canvas(
    outline: CropMasks | list[NDArray[np.float64]], before: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Pixels of an outline on a canvas of `size` whose image begins at `before` (x, y)."""
    if isinstance(outline, CropMasks):
        left, top = before.tolist()
        masks, kept = outline.crop(-left, -top, size[1] - left, size[0] - top)
        return masks.full(0) if kept.any() else np.zeros(size, bool)
    try:
        shifted = [(polygon + before).reshape(-1).tolist() for polygon in outline]
        return decode_segmentations([shifted], ["it"], size).full(0)
    except ValueError:
        return np.zeros(size, bool)


def _frame(
    box: NDArray[Any], before: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """The line of a box (4,) xyxy, drawn at the rim where the box leaves the canvas."""
    most = np.array([size[1], size[0]])
    low = np.clip(np.floor(box[:2] + before), 0, most - 2 * _LINE).astype(int)
    high = np.maximum(np.clip(np.ceil(box[2:] + before), 0, most).astype(int), low + 2 * _LINE)
    marked = np.zeros(size, bool)
    marked[low[1] : high[1], low[0] : high[0]] = True
    marked[low[1] + _LINE : high[1] - _LINE, low[0] + _LINE : high[0] - _LINE] = False
    return marked


def _striped(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """A canvas of stripes in two greys of the image: no picture of cells looks like that."""
    low, high = float(pixels.min()), float(pixels.max())
    y, x = np.ogrid[: size[0], : size[1]]
    light = (x + y) // _STRIPE % 2
    greys = (low + (high - low) * (0.3 + 0.4 * light)).astype(pixels.dtype)
    return greys if pixels.ndim == 2 else np.repeat(greys[..., None], pixels.shape[2], axis=2)
