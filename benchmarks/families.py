"""The networks whose parts are timed: one line each, any tree that `build_network` knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.nn.stock import stock_cascade_mask_rcnn, stock_mask_rcnn
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.nn.config import Architecture

# Shorter edge of a 704 x 520 image as the published networks see it; ours see it as it is.
_PUBLISHED, _OURS = 800, 520

FAMILIES: dict[str, tuple[int, Callable[[], Architecture]]] = {
    "neurons (bundled)": (_OURS, lambda: find_bundle("neurons").card.architecture),
    "nuclei (bundled)": (_OURS, lambda: find_bundle("nuclei").card.architecture),
    "Mask R-CNN R50-FPN": (_PUBLISHED, lambda: stock_mask_rcnn(50, 3)),
    "Mask R-CNN R101-FPN": (_PUBLISHED, lambda: stock_mask_rcnn(101, 3)),
    "Cascade Mask R-CNN R50-FPN": (_PUBLISHED, lambda: stock_cascade_mask_rcnn(3)),
}
"""Name in the table -> shorter edge of the image that the network sees, and its tree."""
