"""Test-time views: the network looks at flipped copies, and what it finds is flipped back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sartorius.core.found import Found
    from napari_sartorius.inference.config import Preset
    from napari_sartorius.zoo.card import ModelCard

View = Literal["identity", "horizontal", "vertical", "both"]

_DEFAULT: dict[str, tuple[View, ...]] = {
    "fast": ("identity",),
    "balanced": ("identity", "horizontal"),
    "best": ("identity", "horizontal", "vertical", "both"),
}


def views_of(card: ModelCard, preset: Preset) -> tuple[View, ...]:
    """Views that a model uses for a preset.

    Raises
    ------
    UserError
        When the card names a view that does not exist.
    """
    names = card.views.get(preset) or _DEFAULT[preset]
    unknown = set(names) - set(get_args(View))
    if unknown:
        raise UserError(
            f"the card of the model {card.name} names the view {sorted(unknown)[0]!r}; "
            f"known views are {', '.join(get_args(View))}: correct its model.json"
        )
    return cast("tuple[View, ...]", tuple(names))


def look(pixels: NDArray[Any], view: View) -> NDArray[Any]:
    """Return (Y, X, C) pixels as seen in a view."""
    if view in ("vertical", "both"):
        pixels = pixels[::-1]
    if view in ("horizontal", "both"):
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
        Size of the viewed pixels.
    """
    boxes, masks = found.boxes, found.mask_probs
    height, width = size
    if view in ("vertical", "both"):
        boxes = _mirrored(boxes, 1, height)
        masks = masks[:, ::-1]
    if view in ("horizontal", "both"):
        boxes = _mirrored(boxes, 0, width)
        masks = masks[:, :, ::-1]
    return replace(found, boxes=boxes, mask_probs=masks)


def _mirrored(boxes: NDArray[np.float32], axis: int, side: int) -> NDArray[np.float32]:
    result = boxes.copy()
    result[:, axis] = side - boxes[:, axis + 2]
    result[:, axis + 2] = side - boxes[:, axis]
    return result
