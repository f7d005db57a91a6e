"""A circle of the cell diameter on the image, because sizes are judged by eye, not by numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Shapes
    from numpy.typing import NDArray

NAME = "cell diameter"
_COLOUR = "#f0e442"


def circle_corners(centre: tuple[float, float], diameter: float) -> NDArray[np.float64]:
    """Return the corners (y, x) of the square around a circle, (4, 2), as napari wants ellipses."""
    half = diameter / 2.0
    around = np.array([[-half, -half], [-half, half], [half, half], [half, -half]])
    return np.asarray(centre, dtype=float) + around


class SizeGuide:
    """Shows, resizes and removes the circle.

    Parameters
    ----------
    viewer : ViewerModel
        Where the circle appears, as a shapes layer of its own.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Shapes | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the circle is in the viewer; the user may have removed it there."""
        return self._layer is not None and any(self._layer is one for one in self._viewer.layers)

    def show(self, image: Image, diameter: float) -> None:
        """Put a circle of `diameter` pixels of `image` in the middle of what is visible."""
        scale, translate = np.asarray(image.scale)[-2:], np.asarray(image.translate)[-2:]
        if self.is_shown and self._layer is not None:
            corners = self._layer.data[0]
            centre = (float(corners[:, 0].mean()), float(corners[:, 1].mean()))
            self._layer.data = []
        else:
            scene = getattr(self._viewer, "scene", self._viewer)  # napari < 0.9 has no scene
            middle = (np.asarray(scene.camera.center)[-2:] - translate) / scale
            centre = (float(middle[0]), float(middle[1]))
            selected = self._viewer.layers.selection.active
            self._layer = self._viewer.add_shapes(
                name=NAME, ndim=2, scale=scale, translate=translate, opacity=1.0
            )
            self._viewer.layers.selection.active = selected
        self._layer.add_ellipses(
            circle_corners(centre, diameter),
            edge_width=max(diameter * 0.04, 0.5),
            edge_color=_COLOUR,
            face_color="transparent",
        )

    def hide(self) -> None:
        """Take the circle away."""
        if self.is_shown and self._layer is not None:
            self._viewer.layers.remove(self._layer)
        self._layer = None
