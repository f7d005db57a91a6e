"""Corrections of single objects in a label image, each as a list of the pixels that it changes.

Nothing in here writes into an image: a tool returns a `Patch`, and whoever owns the image applies
it, which is how each correction becomes one step of the viewer's undo history. A tool looks at
the boxes of the objects that it works on and nowhere else, so its time does not depend on the
size of the image.
"""

from napari_sartorius.core.edits.boxes import Box, BoxIndex
from napari_sartorius.core.edits.objects import carve, delete, draw, exchange, merge, relabel
from napari_sartorius.core.edits.patch import Patch
from napari_sartorius.core.edits.size import grow, shrink

__all__ = [
    "Box",
    "BoxIndex",
    "Patch",
    "carve",
    "delete",
    "draw",
    "exchange",
    "grow",
    "merge",
    "relabel",
    "shrink",
]
