"""White outlines around the selected cells, as a label layer of its own on top.

Outlines are written and erased pixel by pixel, so that showing another selection draws a few
small boxes anew and nothing else. A layer of the selection's size would be smaller, but moving it
makes napari measure its whole world again, which takes longer than everything else together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.io.layer_table import OVERLAY_KEY
from napari_sartorius.ui.late_overlays import make_overlays_late
from napari_sartorius.ui.partial_redraw import draw_only, unlisted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_sartorius.core.edits import Box, BoxIndex

NAME = "selected cells"
_NOWHERE: Box = (0, 0, 0, 0)
_MOST = 2_000  # outlines; more than these are seen as a change of the table only
_WHITE = np.ones((256, 4), np.float32)
_WHITE[0] = 0.0

Pixels = tuple["NDArray[np.int64]", "NDArray[np.int64]"]
"""Rows and columns."""


def is_overlay(layer: Layer) -> bool:
    """Whether a layer is one of ours that only shows something."""
    return bool(layer.metadata.get(OVERLAY_KEY))


def outlines(image: NDArray[Any], boxes: BoxIndex, labels: Sequence[int], width: int = 1) -> Pixels:
    """Return the pixels around objects, `width` pixels wide and outside of them."""
    rows, columns = [], []
    for label in [label for label in labels if label in boxes][:_MOST]:
        y0, x0, y1, x1 = boxes[label]
        top, left = max(y0 - width, 0), max(x0 - width, 0)
        mask = image[top : y1 + width, left : x1 + width] == label
        outer = mask
        for _ in range(width):
            outer = _spread(outer)
        y, x = np.nonzero(outer & ~mask)
        rows.append(y + top)
        columns.append(x + left)
    nothing = np.zeros(0, np.int64)
    return np.concatenate([nothing, *rows]), np.concatenate([nothing, *columns])


def frame(box: Box, size: tuple[int, int], margin: int = 3) -> Pixels:
    """Return the pixels of a dashed frame around a box, as far as it lies in an image."""
    y0, x0, y1, x1 = box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin
    y, x = np.mgrid[y0:y1, x0:x1].reshape(2, -1)
    border = (y == y0) | (y == y1 - 1) | (x == x0) | (x == x1 - 1)
    dashed = (y + x) % 6 < 4
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    kept = border & dashed & inside
    return y[kept], x[kept]


def _box(pixels: Pixels) -> Box:
    rows, columns = pixels
    if not len(rows):
        return _NOWHERE
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1


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
        self._drawn: Pixels | None = None

    @property
    def is_there(self) -> bool:
        """Whether the layer is in the viewer; the user may have removed it."""
        return self._layer is not None and any(self._layer is one for one in self._viewer.layers)

    def show(self, layer: Labels, pixels: Pixels) -> None:
        """Show these pixels of the plane of `layer` that is shown, and no others."""
        if not any(layer is one for one in self._viewer.layers):
            return
        if not self.is_there or self._layer is None:
            self._drawn = None
            self._layer = self._add(layer)
        self._erase()
        with unlisted(self._layer):
            self._layer.data_setitem(pixels, 1)
        self._drawn = pixels
        draw_only(self._layer, _box(pixels))

    def hide(self) -> None:
        """Show no outlines."""
        if self.is_there:
            self._erase()

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        if self.is_there and self._layer is not None:
            self._viewer.layers.remove(self._layer)
        self._layer = None

    def _erase(self) -> None:
        drawn, self._drawn = self._drawn, None
        if drawn is not None and self._layer is not None:
            with unlisted(self._layer):
                self._layer.data_setitem(drawn, 0)
            draw_only(self._layer, _NOWHERE)

    def _add(self, layer: Labels) -> Labels:
        from napari.layers import Labels
        from napari.utils.colormaps import CyclicLabelColormap

        copied = ("units", "axis_labels")  # a plane (Y, X) is shown at every slice
        made = Labels(
            np.zeros(layer.data.shape[-2:], np.uint8),
            name=NAME,
            # Not the direct colormap: compiling that takes more than a second, once per session.
            colormap=CyclicLabelColormap(colors=_WHITE, background_value=0),
            affine=plane_affine(layer),
            opacity=1.0,
            metadata={OVERLAY_KEY: True},
            **{name: getattr(layer, name)[-2:] for name in copied if hasattr(layer, name)},
        )
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(make_overlays_late(made))
        self._viewer.layers.selection.active = active
        return made


def plane_affine(layer: Labels) -> NDArray[np.float64]:
    """Return the (3, 3) matrix that takes (y, x) of a layer's pixels to the world."""
    from napari.utils.transforms import Affine

    ndim = layer.ndim
    inner = np.eye(ndim + 1)
    inner[:ndim, :ndim] = Affine(
        scale=layer.scale, rotate=layer.rotate, shear=layer.shear, ndim=ndim
    ).linear_matrix
    inner[:ndim, ndim] = layer.translate
    whole = np.asarray(layer.affine.affine_matrix) @ inner
    return whole[np.ix_([-3, -2, -1], [-3, -2, -1])]
