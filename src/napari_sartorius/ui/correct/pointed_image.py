"""The image under the labels that are corrected, read only where somebody points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui import image_source
from napari_sartorius.ui.layer_writer import METADATA_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.inference.prompt import Prompt, Window
    from napari_sartorius.zoo.card import ModelCard

_SAME_PLACE = 0.02  # pixels


class PlaneOfLayer:
    """One plane (Y, X, C) of an image layer, in memory or not, read part by part.

    Parameters
    ----------
    layer : Image
        Whose finest resolution is read.
    index : tuple of int
        Position along the axes in front of (Y, X).
    """

    def __init__(self, layer: Image, index: tuple[int, ...]) -> None:
        self.array = image_source.full_resolution(layer)
        self.index = index
        colours = int(self.array.shape[-1]) if layer.rgb else 1
        self._has_colours = bool(layer.rgb)
        self.shape = (*image_source.plane_shape(layer), colours)

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[Any]:
        """Read a part.

        Raises
        ------
        UserError
            If a lazily loaded layer cannot be read.
        """
        try:
            part = np.asarray(self.array[(*self.index, *key)])
        except Exception as error:  # a lazy array can raise anything its storage raises
            raise UserError(f"The pixels of the image could not be read: {error}") from error
        if part.dtype.kind == "b":
            part = part.astype(np.uint8)
        return part if self._has_colours else part[..., None]


class PointedImage:
    """Finds the image under a labels layer, and remembers what was measured of its last plane.

    Parameters
    ----------
    viewer : ViewerModel
        Where the image is.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._known: tuple[Any, tuple[int, ...], str] | None = None
        self._prepared: PreparedImage | None = None
        self._window: Window | None = None

    def find(self, labels: Labels, preferred: Image | None) -> tuple[Image, PlaneOfLayer]:
        """Return the image layer whose pixels the labels are for, and its plane that is shown.

        That is the image that the labels were made from, else the preferred one, else the topmost.

        Raises
        ------
        UserError
            When no image has the same pixels at the same place.
        """
        for layer in self._candidates(labels, preferred):
            if image_source.why_unusable(layer) is None and _same_grid(layer, labels):
                index = image_source.current_index(layer, tuple(self._viewer.dims.point))
                return layer, PlaneOfLayer(layer, index)
        raise UserError(
            f"No image has the same pixels as {labels.name}: add the image that these labels are "
            "for, with the same size and place."
        )

    def window(
        self,
        plane: PlaneOfLayer,
        prompt: Prompt,
        card: ModelCard,
        config: SegmentConfig,
        size: float | None,
    ) -> Window:
        """Cut what a model must see; the last window again where that is enough.

        The plane is measured once, which may take long where pixels are on a disk. `size` is the
        image's pixel size in micrometres, or None.
        """
        from napari_sartorius.inference.prepare import prepare_parts
        from napari_sartorius.inference.prompt import window_around

        wanted = (plane.array, plane.index, f"{card.sha256} {size} {config.to_json()}")
        known = self._known
        if known is None or known[0] is not wanted[0] or known[1:] != wanted[1:]:
            self._prepared = prepare_parts(plane, card, config, size)
            self._known, self._window = wanted, None
        assert self._prepared is not None
        self._window = window_around(self._prepared, prompt, card.cell_diameter, self._window)
        return self._window

    def _candidates(self, labels: Labels, preferred: Image | None) -> Iterator[Image]:
        from napari_sartorius.ui.image_panel import is_image

        images = [one for one in reversed(list(self._viewer.layers)) if is_image(one)]
        made_from = (labels.metadata.get(METADATA_KEY) or {}).get("image")
        yield from (one for one in images if one.name == made_from)
        if preferred is not None and any(preferred is one for one in images):
            yield preferred
        yield from (one for one in images if one.visible)


def _same_grid(image: Image, labels: Labels) -> bool:
    """Whether pixels (y, x) of both layers lie at the same place of the world."""
    size = image_source.plane_shape(image)
    if size != tuple(labels.data.shape[-2:]):
        return False
    corners = np.array([(0.0, 0.0), (size[0], 0.0), (0.0, size[1])])
    places = [_in_world(layer, corners) for layer in (image, labels)]
    step = max(float(np.abs(places[0][1:] - places[0][0]).max()) / max(size), 1e-12)
    return bool(np.allclose(*places, rtol=0.0, atol=_SAME_PLACE * step))


def _in_world(layer: Layer, corners: NDArray[np.float64]) -> NDArray[np.float64]:
    leading = (0.0,) * (layer.ndim - 2)
    return np.array([layer.data_to_world((*leading, *corner))[-2:] for corner in corners])
