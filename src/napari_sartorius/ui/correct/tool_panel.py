"""The buttons of the tools, and the category to give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.correct.tools import REVIEW, TOOLS, shown_key
from napari_sartorius.ui.forms import button
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.tooltips import tooltip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GROUP_WIDTH = 48
_NEW = "New category …"


class ToolPanel(QWidget):
    """A row of buttons per group of tools.

    Parameters
    ----------
    keys : mapping of str to str
        Key by the name of a tool, where it is not the usual one.
    """

    tool_asked = Signal(str)
    category_asked = Signal(str)
    new_category_asked = Signal()
    undo_asked = Signal()
    redo_asked = Signal()
    sheet_asked = Signal()

    def __init__(self, keys: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(3)
        grid.setColumnMinimumWidth(0, _GROUP_WIDTH)
        rows: dict[str, QHBoxLayout] = {}
        for tool in TOOLS:
            if tool.group == REVIEW:
                continue
            if tool.group not in rows:
                row = rows[tool.group] = QHBoxLayout()
                row.setSpacing(4)
                title = QLabel(tool.group)
                set_role(title, "muted")
                grid.addWidget(title, len(rows) - 1, 0)
                grid.addLayout(row, len(rows) - 1, 1)
            key = shown_key(keys.get(tool.name, tool.key))
            push = QPushButton(f"{tool.title} ({key})" if key else tool.title)
            set_role(push, "tool")
            push.setCheckable(bool(tool.stroke))
            push.setToolTip(tool.hint)
            push.clicked.connect(lambda _=False, name=tool.name: self.tool_asked.emit(name))
            rows[tool.group].addWidget(push, 1)
            self.buttons[tool.name] = push
        self.category = Choice()
        self.category.setToolTip(tooltip("category"))
        self.category.activated.connect(self._on_category)
        self.give = QPushButton("Give to selected")
        set_role(self.give, "tool")
        self.give.setToolTip(tooltip("give_category"))
        self.give.clicked.connect(lambda: self.category_asked.emit(self.chosen_category))
        self.overwrite = QCheckBox("Draw over others")
        self.overwrite.setToolTip(tooltip("overwrite"))
        self.undo = button("Undo", "link", "undo")
        self.redo = button("Redo", "link", "redo")
        self.sheet = button("Keys (?)", "link", "cheat_sheet")
        self.undo.clicked.connect(self.undo_asked)
        self.redo.clicked.connect(self.redo_asked)
        self.sheet.clicked.connect(self.sheet_asked)
        given = QHBoxLayout()
        given.setSpacing(4)
        given.addWidget(self.category, 1)
        given.addWidget(self.give)
        title = QLabel("Kind")
        set_role(title, "muted")
        grid.addWidget(title, len(rows), 0)
        grid.addLayout(given, len(rows), 1)
        foot = QHBoxLayout()
        foot.setSpacing(2)
        foot.addWidget(self.overwrite)
        foot.addStretch(1)
        for one in (self.undo, self.redo, self.sheet):
            foot.addWidget(one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(grid)
        layout.addLayout(foot)

    @property
    def chosen_category(self) -> str:
        """The category that drawn cells get and that the button gives."""
        return str(self.category.currentData() or "")

    def show_categories(self, names: Sequence[str]) -> None:
        """Offer these categories, the first nine with their number keys; keeps the choice."""
        chosen = self.chosen_category
        if [self.category.itemData(i) for i in range(self.category.count() - 1)] == list(names):
            return
        with QSignalBlocker(self.category):
            self.category.clear()
            for at, name in enumerate(names):
                self.category.addItem(f"{at + 1}  {name}" if at < 9 else name, name)
            self.category.addItem(_NEW, None)
            if not self.category.select_data(chosen):
                self.category.setCurrentIndex(0)

    def choose_category(self, name: str) -> None:
        """Choose a category that is offered."""
        with QSignalBlocker(self.category):
            self.category.select_data(name)

    def show_drawing(self, name: str) -> None:
        """Show which tool waits for something drawn; empty for none."""
        for tool, push in self.buttons.items():
            if push.isCheckable():
                push.setChecked(tool == name)

    def set_ready(self, ready: bool) -> None:
        """Enable the tools, or disable them while there is nothing to correct."""
        for push in (*self.buttons.values(), self.give, self.undo, self.redo):
            push.setEnabled(ready)

    def _on_category(self, position: int) -> None:
        if self.category.itemData(position) is None:
            self.new_category_asked.emit()
