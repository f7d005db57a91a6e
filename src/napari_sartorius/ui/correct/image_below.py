"""The picture that a label layer lies on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sartorius.ui.correct.pixel_steps import Plane


def image_below(viewer: ViewerModel, layer: Labels) -> Image | None:
    """Return the image layer of the same extent; of several the one whose name the labels bear.

    None when there is none.
    """
    from napari_sartorius.ui.image_panel import is_image

    def fits(one: Any) -> bool:
        if not is_image(one) or one.multiscale:
            return False
        shape = one.data.shape[:-1] if one.rgb else one.data.shape
        return bool(tuple(shape)[-layer.ndim :] == layer.data.shape)

    fitting = [one for one in viewer.layers if fits(one)]
    named = [one for one in fitting if layer.name.startswith(one.name)]
    return next(iter([*reversed(named), *reversed(fitting)]), None)


def pixels_below(viewer: ViewerModel, layer: Labels, plane: Plane) -> NDArray[Any] | None:
    """Return the pixels (H, W) or (H, W, colours) below a plane of a label layer, or None."""
    image = image_below(viewer, layer)
    if image is None:
        return None
    front = image.data.ndim - int(image.rgb) - layer.ndim
    return np.asarray(image.data[(0,) * front + tuple(plane)])
