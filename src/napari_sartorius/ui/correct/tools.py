"""Every tool of the Correct tab with its name, its key and what it is for, in one table.

Buttons, keys, tooltips, the cheat sheet and the preferences are all made of this.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tool:
    """One tool.

    Parameters
    ----------
    name : str
        By which the tab finds what to do.
    group : str
        Heading under which it is shown.
    title : str
        On its button.
    key : str
        As napari writes keys, ``Shift-G``.
    hint : str
        What it does, in a sentence.
    stroke : str
        ``line``, ``area`` or ``prompt`` for tools that need something drawn on the image, else
        empty.
    """

    name: str
    group: str
    title: str
    key: str
    hint: str
    stroke: str = ""
    waiting: str = ""
    """What is said while it waits for the stroke, where the hint is too long for that."""


REVIEW = "Review"
"""The group of tools that walk through the doubtful cells; their buttons are in `ReviewSection`."""

TOOLS = (
    Tool("review_back", REVIEW, "Back", "Shift-N", "Goes back to the doubtful cell before."),
    Tool("review_next", REVIEW, "Next", "N", "Goes to the next doubtful cell."),
    Tool(
        "review_accept",
        REVIEW,
        "Accept",
        "Y",
        "Marks the cell as right and goes to the next doubtful one.",
    ),
    Tool(
        "review_reject",
        REVIEW,
        "Reject",
        "R",
        "Deletes the cell and goes to the next doubtful one.",
    ),
    Tool(
        "accept", "Cells", "Accept", "A", "Marks the selected cells as right and goes to the next."
    ),
    Tool(
        "merge",
        "Cells",
        "Merge",
        "J",
        "Makes the selected cells one: the largest takes the others.",
    ),
    Tool("delete", "Cells", "Delete", "Delete", "Deletes the selected cells."),
    Tool(
        "prompt",
        "Model",
        "Add cell",
        "C",
        "Click a cell, or drag a box around it: the model draws it. Shift+click adds to the "
        "selected cell, Ctrl+click takes away from it.",
        "prompt",
        "Click a cell or drag a box: the model draws it. Shift adds, Ctrl takes away.",
    ),
    Tool(
        "opinion",
        "Model",
        "Second opinion",
        "Shift-C",
        "Replaces the selected cell by what the model sees there.",
    ),
    Tool("line", "Split", "By a line", "K", "Draw across a cell to part it.", "line"),
    Tool("seeds", "Split", "At waists", "S", "Parts the selected cells where they are narrow."),
    Tool(
        "draw",
        "Draw",
        "New cell",
        "D",
        "Draw the outline of a cell; it is closed and filled.",
        "area",
    ),
    Tool("hole", "Draw", "Cut out", "H", "Draw around what is to be cut out of a cell.", "area"),
    Tool("fill", "Tidy", "Fill holes", "Shift-H", "Fills the holes of the selected cells."),
    Tool("smooth", "Tidy", "Smooth", "O", "Smooths the outline of the selected cells; areas stay."),
    Tool(
        "grow", "Size", "Grow", "G", "Adds one pixel around the selected cells, never over others."
    ),
    Tool("shrink", "Size", "Shrink", "Shift-G", "Takes one pixel away around the selected cells."),
)
"""In the order in which they are shown."""

BY_NAME = {tool.name: tool for tool in TOOLS}

OTHER_KEYS = (
    ("click", "Select a cell; with Shift one more or one less"),
    ("1 … 9", "Give the selected cells the first, second … category"),
    ("Esc", "End drawing; then: select nothing"),
    ("Ctrl+Z, Ctrl+⇧Z", "Undo, redo"),
    ("⇧Backspace", "Not accepted: take the mark off the selected cells"),
    ("P, E, F", "napari's brush, eraser and fill bucket; Z goes back to selecting"),
    ("?", "This list"),
)
"""Keys that do not belong to a button, for the cheat sheet."""


def shown_key(key: str) -> str:
    """Return a key as people read it: ``⇧G`` and ``Del``."""
    return key.replace("Shift-", "⇧").replace("-", "+").replace("Delete", "Del")
