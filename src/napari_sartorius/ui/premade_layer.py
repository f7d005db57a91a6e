"""A labels layer without labels, with the controls and canvas nodes that napari would make for it.

napari has no public way to bring along controls or nodes. While such a layer is being added, the
two tables in which napari looks up who makes them answer for this one layer with what is there
already. A version of napari with other names makes all of it itself, or raises when the layer is
made.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.io.label_room import dtype_with_room
from napari_sartorius.ui.layer_writer import arguments_of, result_layer, transform_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sartorius.ui.image_source import PlaneChoice
    from napari_sartorius.ui.layer_writer import ComposedLabels


@dataclass
class PremadeLayer:
    """Layer, nodes and controls; `discard` must be called in the end, added or not.

    Attributes
    ----------
    layer : Labels
        Not in a viewer.
    nodes : VispyLabelsLayer
        What draws it.
    controls : QtLabelsControls
        Hidden, inside the window's place for controls.
    used : set of str
        Which of both napari has taken over.
    """

    layer: Any
    nodes: Any
    controls: Any
    used: set[str] = field(default_factory=set)

    @classmethod
    def make(cls, window: Any, image: Image, choice: PlaneChoice) -> PremadeLayer:
        """Make all of it for a result of an image; `window` is napari's ``QtViewer``."""
        from napari._qt.layer_controls.qt_layer_controls_container import create_qt_layer_controls
        from napari._vispy.utils.visual import create_vispy_layer
        from qtpy.QtWidgets import QWidget

        # The colours are those of any result of this type: they go by label values, and no object
        # is hidden yet.
        layer = result_layer(
            np.zeros((1,) * image.ndim, dtype_with_room(0)),
            np.zeros(0, np.int64),
            **transform_of(image, choice),
        )
        fonts = getattr(window.canvas, "font_info", None)
        nodes = create_vispy_layer(layer, **({"font_info": fonts()} if fonts is not None else {}))
        controls = create_qt_layer_controls(layer)
        controls.hide()  # said here, it stays so when what is around it is hidden and shown again
        controls.setParent(window.controls)  # whose style it has from now on
        for widget in (controls, *controls.findChildren(QWidget)):
            widget.ensurePolished()
        return cls(layer, nodes, controls)

    def fill(self, composed: ComposedLabels, image: Image, choice: PlaneChoice) -> bool:
        """Put a result into the layer; False where it was made for another kind."""
        layer = self.layer
        if layer.ndim != composed.labels.ndim or layer.data.dtype != composed.labels.dtype:
            return False
        layer.data = composed.labels
        for name, value in arguments_of(composed, image, choice).items():
            if name in ("features", "metadata") or not _same(getattr(layer, name), value):
                setattr(layer, name, value)
        return True

    def add_to(self, viewer: ViewerModel) -> None:
        """Add the layer; napari takes nodes and controls where it would make them."""
        from napari._qt.layer_controls import qt_layer_controls_container as container
        from napari._vispy.utils import visual

        with (
            self._instead(visual.layer_to_visual, "nodes"),
            self._instead(container.layer_to_controls, "controls"),
        ):
            viewer.add_layer(self.layer)

    def discard(self) -> None:
        """Take apart what napari has not taken over."""
        if "nodes" not in self.used:
            self.nodes.close()
        if "controls" not in self.used:
            with suppress(RuntimeError):  # the window is gone, and its controls with it
                self.controls.hide()
                self.controls.deleteLater()
        # vispy does not survive drawn nodes that are kept beyond the removal of their layer
        self.nodes = self.controls = None

    @contextmanager
    def _instead(self, makers: dict[Any, Any], name: str) -> Iterator[None]:
        """Let a table of napari answer for this layer with what is there."""
        kind = type(self.layer)
        usual = makers[kind]

        def make(layer: Any, *arguments: Any, **named: Any) -> Any:
            if layer is not self.layer or name in self.used:
                return usual(layer, *arguments, **named)
            self.used.add(name)
            return getattr(self, name)

        makers[kind] = make
        try:
            yield
        finally:
            makers[kind] = usual


def _same(one: Any, other: Any) -> bool:
    matrix = getattr(one, "affine_matrix", None)
    if matrix is not None:
        return np.array_equal(matrix, getattr(other, "affine_matrix", other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)
