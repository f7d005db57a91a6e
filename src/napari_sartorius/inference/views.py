"""Test-time views: the network looks at flipped copies, and what it finds is flipped back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.views import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.found import Found
    from napari_sartorius.inference.config import Preset
    from napari_sartorius.zoo.card import ModelCard

_DEFAULT: dict[str, tuple[str, ...]] = {
    "fast": ("identity",),
    "balanced": ("identity", "horizontal"),
    "best": ("identity", "horizontal", "vertical", "both"),
}


def views_of(card: ModelCard, preset: Preset) -> tuple[View, ...]:
    """Views that a model uses for a preset.

    Raises
    ------
    UserError
        When the card names a view that does not exist, or one twice.
    """
    names = card.views.get(preset) or _DEFAULT[preset]
    try:
        views = tuple(View.parse(name) for name in names)
        if len(set(views)) != len(views):
            raise ValueError(f"one of the views {', '.join(names)} is named twice")
    except ValueError as error:
        raise UserError(
            f"the views of the model {card.name} for the preset {preset} cannot be used: {error}; "
            "correct its model.json"
        ) from error
    return views


def look(pixels: NDArray[Any], view: View) -> NDArray[Any]:
    """Return (Y, X, C) pixels as seen in a view.

    Flips and turns are views of the same memory. Another scale makes new pixels, by linear
    interpolation, of several pixels at once where they are made fewer.
    """
    if view.scale != 1:
        pixels = _resized(pixels, view.scaled_size((pixels.shape[0], pixels.shape[1])))
    if view.transposed:
        pixels = pixels.swapaxes(0, 1)
    if view.rows_reversed:
        pixels = pixels[::-1]
    if view.columns_reversed:
        pixels = pixels[:, ::-1]
    return pixels


def look_back(found: Found, view: View, size: tuple[int, int]) -> Found:
    """Bring what was found in a view back to the pixels it came from; the exact inverse of `look`.

    Parameters
    ----------
    found
        Objects in pixels of the view.
    view
        Which view.
    size : (height, width)
        Size of the pixels that were looked at, before scaling and turning.
    """
    masks = found.mask_probs
    if view.rows_reversed:
        masks = masks[:, ::-1]
    if view.columns_reversed:
        masks = masks[:, :, ::-1]
    if view.transposed:
        masks = masks.swapaxes(1, 2)
    return replace(found, boxes=_boxes_back(found.boxes, view, size), mask_probs=masks)


def _boxes_back(
    boxes: NDArray[np.float32], view: View, size: tuple[int, int]
) -> NDArray[np.float32]:
    mapped = view.box_map(size)
    if mapped.is_identity:
        return boxes
    shift, factor = np.array(mapped.shift, np.float32), np.array(mapped.factor, np.float32)
    back = (boxes - shift) / factor
    return np.asarray(back[:, list(mapped.inverse_order)], dtype=np.float32)


def _resized(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    import torch

    planes = torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).permute(2, 0, 1)
    fewer = size[0] < pixels.shape[0] or size[1] < pixels.shape[1]
    seen = torch.nn.functional.interpolate(
        planes[None], size, mode="bilinear", align_corners=False, antialias=fewer
    )
    resized: NDArray[np.float32] = seen[0].permute(1, 2, 0).numpy()
    return resized
