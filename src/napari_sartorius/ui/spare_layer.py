"""Keeps one labels layer ready, with all that napari makes for it, for the next result.

Of the time that napari takes to add a labels layer, most goes into what has nothing to do with the
labels: the layer itself, its controls, and its nodes on the canvas. So these are made while nobody
waits, and a result only has to be put into them.

napari has no public way to bring along controls or nodes. While a spare layer is being added, the
two tables in which napari looks up who makes them answer for this one layer with what is there
already. Where a version of napari has other names, there is never a spare, and the layer is made
when it is needed.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_sartorius.ui.single_shot import single_shot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_sartorius.ui.image_source import PlaneChoice
    from napari_sartorius.ui.layer_writer import ComposedLabels

logger = logging.getLogger(__name__)

IDLE_MS = 500
"""So long after the last result, which the user looks at, the next layer is made."""


@dataclass
class _Spare:
    layer: Any  # a Labels
    nodes: Any  # a VispyLabelsLayer
    controls: Any  # a QtLabelsControls
    used: set[str] = field(default_factory=set)


class SpareLayer(QObject):
    """At most one labels layer that waits for a result; main thread only.

    Parameters
    ----------
    viewer : ViewerModel
        Where the result will be added; without a window there is nothing to make beforehand.
    next_image : callable
        Returns the image that would be segmented now with its planes, or None while a layer for it
        should not be made: a network that runs needs every core.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        next_image: Callable[[], tuple[Image, PlaneChoice] | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._next_image = next_image
        self._spare: _Spare | None = None
        self._idle = single_shot(self, IDLE_MS, self._prepare)

    @property
    def is_ready(self) -> bool:
        """Whether the next result finds its layer made."""
        return self._spare is not None

    def prepare_soon(self) -> None:
        """Make a layer for the next result when nothing has happened for `IDLE_MS`."""
        self._idle.start()

    def add(self, composed: ComposedLabels, image: Image, choice: PlaneChoice) -> Labels | None:
        """Add a result as the layer that was made for it; None when there is none that fits.

        The layer is the same as one of `to_layer`.
        """
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        try:
            if not self._is_filled(spare, composed, image, choice):
                return None
            with _answering(spare):
                self._viewer.add_layer(spare.layer)
        finally:  # also where somebody who listens for layers fails
            _discard(spare)
        return spare.layer

    def _is_filled(
        self, spare: _Spare, composed: ComposedLabels, image: Image, choice: PlaneChoice
    ) -> bool:
        try:
            return _fill(spare.layer, composed, image, choice)
        except Exception:  # what only saves time must not cost a result
            logger.exception("The layer that was made beforehand cannot be used")
            return False

    def stop(self) -> None:
        """Do without what was made, and make no more."""
        self._idle.stop()
        spare, self._spare = self._spare, None
        if spare is not None:
            _discard(spare)

    def _prepare(self) -> None:
        """Make the layer, unless one is there; some 40 ms."""
        wanted = self._next_image()
        window = getattr(self._viewer, "window", None)
        if wanted is None or window is None:
            return
        image, choice = wanted
        if self._spare is not None and self._spare.layer.ndim == image.ndim:
            return
        self.stop()
        try:
            self._spare = _make(window._qt_viewer, image, choice)
        except Exception:  # another napari than we know; nobody asked for it, so nobody is told
            logger.debug("No labels layer can be made beforehand", exc_info=True)


def _make(window: Any, image: Image, choice: PlaneChoice) -> _Spare:
    """Return a layer without labels, its nodes and its controls."""
    from napari._qt.layer_controls.qt_layer_controls_container import create_qt_layer_controls
    from napari._vispy.utils.visual import create_vispy_layer
    from napari.layers import Labels
    from qtpy.QtWidgets import QWidget

    from napari_sartorius.io.label_room import dtype_with_room
    from napari_sartorius.ui.label_colours import first_colormap
    from napari_sartorius.ui.late_overlays import make_overlays_late
    from napari_sartorius.ui.layer_writer import OPACITY, transform_of

    dtype = dtype_with_room(0)
    layer = Labels(
        np.zeros((1,) * image.ndim, dtype),
        opacity=OPACITY,
        # of any result of this type: colours go by label values, and no object is hidden yet
        colormap=first_colormap(dtype, np.zeros(0, np.int64)),
        **transform_of(image, choice),
    )
    make_overlays_late(layer)
    fonts = getattr(window.canvas, "font_info", None)
    nodes = create_vispy_layer(layer, **({"font_info": fonts()} if fonts is not None else {}))
    controls = create_qt_layer_controls(layer)
    controls.hide()  # said here, it stays so when what is around it is hidden and shown again
    controls.setParent(window.controls)  # whose style it has from now on
    for widget in (controls, *controls.findChildren(QWidget)):
        widget.ensurePolished()
    return _Spare(layer, nodes, controls)


def _fill(layer: Labels, composed: ComposedLabels, image: Image, choice: PlaneChoice) -> bool:
    """Put a result into a layer that has none; False where it is made for another kind."""
    from napari_sartorius.ui.layer_writer import arguments_of

    if layer.ndim != composed.labels.ndim or layer.data.dtype != composed.labels.dtype:
        return False
    layer.data = composed.labels
    for name, value in arguments_of(composed, image, choice).items():
        if name in ("features", "metadata") or not _same(getattr(layer, name), value):
            setattr(layer, name, value)
    return True


def _same(one: Any, other: Any) -> bool:
    matrix = getattr(one, "affine_matrix", None)
    if matrix is not None:
        return np.array_equal(matrix, getattr(other, "affine_matrix", other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


@contextmanager
def _answering(spare: _Spare) -> Iterator[None]:
    """Let napari take the nodes and controls of the spare where it would make them."""
    from napari._qt.layer_controls import qt_layer_controls_container as container
    from napari._vispy.utils import visual

    with ExitStack() as stack:
        for name, makers in (
            ("nodes", visual.layer_to_visual),
            ("controls", container.layer_to_controls),
        ):
            stack.enter_context(_instead(makers, name, spare))
        yield


@contextmanager
def _instead(makers: dict[Any, Any], name: str, spare: _Spare) -> Iterator[None]:
    kind = type(spare.layer)
    usual = makers[kind]

    def make(layer: Any, *arguments: Any, **named: Any) -> Any:
        if layer is not spare.layer or name in spare.used:
            return usual(layer, *arguments, **named)
        spare.used.add(name)
        return getattr(spare, name)

    makers[kind] = make
    try:
        yield
    finally:
        makers[kind] = usual


def _discard(spare: _Spare) -> None:
    """Take apart what napari has not taken over."""
    if "nodes" not in spare.used:
        spare.nodes.close()
    if "controls" not in spare.used:
        with suppress(RuntimeError):  # the window is gone, and its controls with it
            spare.controls.hide()
            spare.controls.deleteLater()
