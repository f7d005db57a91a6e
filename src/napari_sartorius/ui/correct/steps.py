"""The order of what the user did, in pixels and in the table, so that Ctrl+Z takes back the last.

Steps in pixels live in napari's own history; accepting objects and saying that there is none change
no pixel and live here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.edits import Box
from napari_sartorius.ui.correct.pixel_steps import Plane

if TYPE_CHECKING:
    from napari_sartorius.ui.correct.pixel_steps import Direction


@dataclass(frozen=True)
class TableStep:
    """Values of one column that were changed by hand."""

    text: str
    column: str
    labels: list[int]
    before: list[Any]
    after: list[Any]


@dataclass(frozen=True)
class PlaceStep:
    """A place of which somebody said that there is no cell: in a plane, as a box of it."""

    text: str
    plane: Plane
    box: Box


@dataclass(frozen=True)
class PixelEntry:
    """Stands for one step of napari's history."""

    text: str


Entry = TableStep | PlaceStep | PixelEntry


@dataclass
class StepLog:
    """What can be undone and redone, the latest last."""

    done: list[Entry] = field(default_factory=list)
    undone: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Note something new; what was undone before cannot be redone any more."""
        self.done.append(entry)
        self.undone.clear()

    def clear(self) -> None:
        """Forget everything: the pixels are not those that the steps were made on."""
        self.done.clear()
        self.undone.clear()

    def move_pixels(self, how: Direction) -> str:
        """Follow a step in pixels that napari undid or redid; returns its text.

        It need not be the latest: a script can undo pixels while accepted objects stay so.
        """
        source, target = (self.done, self.undone) if how == "undo" else (self.undone, self.done)
        for position in range(len(source) - 1, -1, -1):
            if isinstance(source[position], PixelEntry):
                entry = source.pop(position)
                target.append(entry)
                return entry.text
        return "a change"
