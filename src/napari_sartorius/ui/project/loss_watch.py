"""Notices when many cells of an image are gone at once, as when undo takes a whole run away."""

from __future__ import annotations

_MANY = 5  # cells that vanish at once; more than a stroke of the eraser takes


class LossWatch:
    """Compares the number of cells of the image that is shown with what it was before."""

    def __init__(self) -> None:
        self._image: str | None = None
        self._cells = 0

    def told(self, image: str | None, cells: int) -> str:
        """Take in how many cells an image has now; returns a sentence when many of them went."""
        same, lost = image == self._image, self._cells - cells
        self._image, self._cells = image, cells
        if not same or lost < _MANY:
            return ""
        return f"{lost:,} cells went away in one step; Ctrl+Shift+Z brings them back."
