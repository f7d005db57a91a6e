"""Keeps one labels layer ready, with all that napari makes for it, for the next result.

Of the time that napari takes to add a labels layer, most goes into what has nothing to do with the
labels: the layer itself, its controls, and its nodes on the canvas (`premade_layer`). So these are
made while nobody waits, and a result only has to be put into them. Where that cannot be done, the
layer is made when it is needed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_sartorius.ui.single_shot import single_shot

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_sartorius.ui.image_source import PlaneChoice
    from napari_sartorius.ui.layer_writer import ComposedLabels
    from napari_sartorius.ui.premade_layer import PremadeLayer

logger = logging.getLogger(__name__)

IDLE_MS = 500
"""So long after the last result, which the user looks at, the next layer is made."""


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
        self._spare: PremadeLayer | None = None
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
            spare.add_to(self._viewer)
        finally:  # also where somebody who listens for layers fails
            spare.discard()
        return spare.layer

    def _is_filled(
        self, spare: PremadeLayer, composed: ComposedLabels, image: Image, choice: PlaneChoice
    ) -> bool:
        try:
            return spare.fill(composed, image, choice)
        except Exception:  # what only saves time must not cost a result
            logger.exception("The layer that was made beforehand cannot be used")
            return False

    def stop(self) -> None:
        """Do without what was made, and make no more."""
        self._idle.stop()
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.discard()

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
        from napari_sartorius.ui.premade_layer import PremadeLayer  # late: the dock opens sooner

        try:
            self._spare = PremadeLayer.make(window._qt_viewer, image, choice)
        except Exception:  # another napari than we know; nobody asked for it, so nobody is told
            logger.debug("No labels layer can be made beforehand", exc_info=True)
