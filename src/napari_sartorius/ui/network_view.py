"""Shows the image as the network receives it, because what is invisible there cannot be found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.channels import choose_colours
from napari_sartorius.core.normalise import normalise, to_channels
from napari_sartorius.ui import image_source
from napari_sartorius.ui.image_source import PlaneChoice
from napari_sartorius.ui.layer_writer import transform_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sartorius.core.channels import ChannelChoice
    from napari_sartorius.zoo.card import ModelCard

NAME = "seen by the network"


def network_pixels(
    plane: NDArray[np.generic], card: ModelCard, channel: ChannelChoice
) -> NDArray[np.float32]:
    """Return one plane as the model's network sees it, (Y, X) or (Y, X, 3) float32.

    Parameters
    ----------
    plane : (Y, X), (Y, X, 3) or (Y, X, 4) array
        Pixels of the image.
    card : ModelCard
        Whose network it is.
    channel : ChannelChoice
        As in `SegmentConfig.channel`.

    Raises
    ------
    UserError
        If the pixels hold NaN or infinity, or are not real numbers.
    """
    if plane.ndim == 3 and channel != "auto":
        plane = choose_colours(plane, channel)
    seen = normalise(to_channels(plane, 3 if card.input_channels == 3 else 1), card.normalisation)
    grey = seen.shape[-1] == 1 or bool(np.array_equal(seen[..., 0], seen[..., 1]))
    return seen[..., 0] if grey else seen


def add_network_view(
    viewer: ViewerModel, layer: Image, card: ModelCard, channel: ChannelChoice
) -> Image:
    """Add the slice of `layer` that is shown now as the network sees it, and return the new layer.

    The values run from -4 to 4 for a percentile normalisation; a colour image is brought to 0..1
    for display.
    """
    choice = PlaneChoice.current(layer, tuple(viewer.dims.point))
    plane = image_source.take_plane(layer, choice.indices[0])
    pixels = network_pixels(plane, card, channel)
    colour = pixels.ndim == 3
    if colour:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = (pixels - low) / max(high - low, 1e-6)
    pixels = pixels[(np.newaxis,) * len(choice.indices[0])]
    moved = PlaneChoice(choice.indices, whole=not choice.indices[0])
    return viewer.add_image(
        pixels, name=f"{layer.name} {NAME}", rgb=colour, **transform_of(layer, moved)
    )
