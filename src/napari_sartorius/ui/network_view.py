"""Shows the image as the network receives it, because what is invisible there cannot be found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.inference.prepare import network_view
from napari_sartorius.io.layer_table import OVERLAY_KEY
from napari_sartorius.ui import image_source
from napari_sartorius.ui.image_source import PlaneChoice
from napari_sartorius.ui.layer_writer import transform_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.zoo.card import ModelCard

NAME = "seen by the network"


def network_pixels(
    plane: NDArray[np.generic],
    card: ModelCard,
    config: SegmentConfig,
    pixel_size: float | None = None,
) -> NDArray[np.float32]:
    """Return one plane as the model's network sees it, (Y, X) or (Y, X, 3) float32.

    Parameters
    ----------
    plane : (Y, X), (Y, X, 3) or (Y, X, 4) array
        Pixels of the image.
    card : ModelCard
        Whose network it is.
    config : SegmentConfig
        The channel, and what decides the scale.
    pixel_size : float, optional
        Micrometres per pixel as the image's file says.

    Raises
    ------
    UserError
        If the pixels hold NaN or infinity, or are not real numbers.
    """
    seen = network_view(plane, card, config, pixel_size)
    grey = seen.shape[-1] == 1 or bool(np.array_equal(seen[..., 0], seen[..., 1]))
    return seen[..., 0] if grey else seen


def add_network_view(
    viewer: ViewerModel, layer: Image, card: ModelCard, config: SegmentConfig
) -> Image:
    """Add the slice of `layer` that is shown now as the network sees it, and return the new layer.

    Of an ensemble it shows what the first member sees. It has as many pixels as the network is
    given and lies where the image lies. The values run from -4 to 4 for a percentile
    normalisation; a colour image is brought to 0..1 for display.
    """
    choice = PlaneChoice.current(layer, tuple(viewer.dims.point))
    plane = image_source.take_plane(layer, choice.indices[0])
    pixels = network_pixels(plane, card.lead, config, image_source.pixel_size_um(layer))
    colour = pixels.ndim == 3
    if colour:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = (pixels - low) / max(high - low, 1e-6)
    moved = PlaneChoice(choice.indices, whole=not choice.indices[0])
    placed = _stretched(transform_of(layer, moved), layer, plane.shape[:2], pixels.shape[:2])
    pixels = pixels[(np.newaxis,) * len(choice.indices[0])]
    return viewer.add_image(
        pixels,
        name=f"{layer.name} {NAME}",
        rgb=colour,
        metadata={OVERLAY_KEY: True},  # to look at: a run on it would prepare it a second time
        **placed,
    )


def _stretched(
    arguments: dict[str, Any], layer: Image, size: tuple[int, ...], seen: tuple[int, ...]
) -> dict[str, Any]:
    """Layer arguments that put a picture of `seen` pixels over one of `size` pixels."""
    if seen == size:
        return arguments
    from napari.utils.transforms import Affine

    ratio = np.ones(layer.ndim)
    ratio[-2:] = np.asarray(size) / np.asarray(seen)
    linear = Affine(
        scale=layer.scale, rotate=layer.rotate, shear=layer.shear, ndim=layer.ndim
    ).linear_matrix
    # The edges of both meet, and napari counts from the centre of the first pixel.
    moved = np.asarray(arguments["translate"]) + linear @ ((ratio - 1) / 2)
    return arguments | {"scale": np.asarray(layer.scale) * ratio, "translate": moved}
