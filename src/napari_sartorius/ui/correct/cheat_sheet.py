"""All keys of the Correct tab on one small sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel

from napari_sartorius.ui.correct.tools import OTHER_KEYS, TOOLS, shown_key
from napari_sartorius.ui.forms import heading, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtWidgets import QWidget


class CheatSheet(QDialog):
    """The keys, by group; any key closes it.

    Parameters
    ----------
    keys : mapping of str to str
        Key by the name of a tool, where it is not the usual one.
    categories : sequence of str
        Names of the categories that the number keys give.
    """

    def __init__(
        self, keys: Mapping[str, str], categories: Sequence[str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys for correcting")
        self._grid = QGridLayout(self)
        self._grid.setColumnMinimumWidth(1, 330)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(3)
        group = ""
        for tool in TOOLS:
            if tool.group != group:
                group = tool.group
                self._add_heading(group)
            key = keys.get(tool.name, tool.key)
            self._add(shown_key(key) or "none", f"<b>{tool.title}.</b> {tool.hint}")
        self._add_heading("Everywhere")
        for key, text in OTHER_KEYS:
            if key.startswith("1") and categories:
                text = "Category: " + ", ".join(
                    f"{at + 1} {name}" for at, name in enumerate(categories[:9])
                )
            self._add(key, text)

    def keyPressEvent(self, event: object) -> None:
        """Close."""
        self.close()

    def _add_heading(self, text: str) -> None:
        self._grid.addWidget(heading(text), self._grid.rowCount(), 0, 1, 2)

    def _add(self, key: str, text: str) -> None:
        row = self._grid.rowCount()
        label = QLabel(key)
        label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(label, row, 0)
        self._grid.addWidget(quiet(text, role="body"), row, 1)
