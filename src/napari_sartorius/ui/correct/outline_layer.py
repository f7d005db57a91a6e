"""White outlines around the selected cells, as a small label layer of its own on top.

It covers only the box of the selection, so that showing another selection takes a few
milliseconds whatever the size of the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_sartorius.core.edits import BoxIndex

NAME = "selected cells"
OVERLAY_KEY = "sartorius_overlay"
"""Key in the metadata of layers that only show something and are nobody's data."""

_MOST = 2_000  # outlines; more than these are seen as a change of the table only
_WHITE = {0: "transparent", 1: "white", None: "transparent"}


def is_overlay(layer: Layer) -> bool:
    """Whether a layer is one of ours that only shows something."""
    return bool(layer.metadata.get(OVERLAY_KEY))


def outlines(
    image: NDArray[Any], boxes: BoxIndex, labels: Sequence[int], width: int = 1
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Draw the outlines of objects into an image just large enough.

    Returns
    -------
    drawn : (h, w) uint8
        1 on outlines.
    corner : (y, x)
        Of the drawing in the plane.
    """
    here = [label for label in labels if label in boxes][:_MOST]
    if not here:
        return np.zeros((1, 1), np.uint8), (0, 0)
    edges = np.array([boxes[label] for label in here])
    margin = width + 1
    top, left = edges[:, 0].min() - margin, edges[:, 1].min() - margin
    bottom, right = edges[:, 2].max() + margin, edges[:, 3].max() + margin
    drawn = np.zeros((bottom - top, right - left), np.uint8)
    for label in here:
        y0, x0, y1, x1 = boxes[label]
        mask = np.pad(image[y0:y1, x0:x1] == label, margin)
        outer = mask
        for _ in range(width):
            outer = _spread(outer)
        window = drawn[
            y0 - margin - top : y1 + margin - top, x0 - margin - left : x1 + margin - left
        ]
        window[outer & ~mask] = 1
    # nothing beyond the image, which would make the viewer's world larger
    inside = drawn[max(-top, 0) : image.shape[0] - top, max(-left, 0) : image.shape[1] - left]
    return inside, (max(int(top), 0), max(int(left), 0))


def _spread(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found = mask.copy()
    found[1:] |= mask[:-1]
    found[:-1] |= mask[1:]
    found[:, 1:] |= mask[:, :-1]
    found[:, :-1] |= mask[:, 1:]
    return found


class OutlineLayer:
    """Shows and removes the outlines.

    Parameters
    ----------
    viewer : ViewerModel
        Where they appear.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None
        self._is_busy = False

    @property
    def is_there(self) -> bool:
        """Whether the layer is in the viewer; the user may have removed it."""
        return self._layer is not None and any(self._layer is one for one in self._viewer.layers)

    def show(self, layer: Labels, plane: tuple[int, ...], drawn: NDArray[Any], corner: Any) -> None:
        """Show outlines that lie at `corner` in a plane of `layer`."""
        if self._is_busy or not any(layer is one for one in self._viewer.layers):
            return  # showing it can move the viewer's slider, which asks for it again
        self._is_busy = True
        try:
            self._show(layer, plane, drawn, corner)
        finally:
            self._is_busy = False

    def _show(
        self, layer: Labels, plane: tuple[int, ...], drawn: NDArray[Any], corner: Any
    ) -> None:
        from napari.utils.transforms import Affine

        index = np.array([*plane, *corner], float)
        linear = Affine(
            scale=layer.scale, rotate=layer.rotate, shear=layer.shear, ndim=layer.ndim
        ).linear_matrix
        place = np.asarray(layer.translate) + linear @ index
        data = drawn.reshape((1,) * len(plane) + drawn.shape)
        if not self.is_there or self._layer is None:
            self._layer = self._add(layer, data, place)
            return
        self._layer.data = data
        self._layer.translate = place

    def hide(self) -> None:
        """Show no outlines."""
        if self.is_there and self._layer is not None and self._layer.data.size > 1:
            self._layer.data = np.zeros((1,) * self._layer.ndim, np.uint8)

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        if self.is_there and self._layer is not None:
            self._viewer.layers.remove(self._layer)
        self._layer = None

    def _add(self, layer: Labels, data: NDArray[Any], place: Any) -> Labels:
        from napari.layers import Labels
        from napari.utils.colormaps import DirectLabelColormap

        copied = ("scale", "rotate", "shear", "affine", "units", "axis_labels")
        made = Labels(
            data,
            name=NAME,
            colormap=DirectLabelColormap(color_dict=_WHITE),
            translate=place,
            opacity=1.0,
            metadata={OVERLAY_KEY: True},
            **{name: getattr(layer, name) for name in copied if hasattr(layer, name)},
        )
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(made)
        self._viewer.layers.selection.active = active
        return made
