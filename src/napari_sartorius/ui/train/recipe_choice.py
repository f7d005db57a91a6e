"""How a model learns: two ready recipes, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog

from napari_sartorius.ui.choice import Choice

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

_EFFORTS = (("Quick", "quick"), ("Thorough", "thorough"))
_OPEN = "open"


class RecipeChoice(Choice):
    """Quick, Thorough, or a file: settings as a run writes them, or a recipe of one stage."""

    changed = Signal()
    """Another recipe is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kept = 0
        for title, key in _EFFORTS:
            self.addItem(title, key)
        self.addItem("File …", _OPEN)
        self.currentIndexChanged.connect(self._on_index)

    @property
    def effort(self) -> Literal["quick", "thorough"]:
        """Ready recipe; under a file what it leaves open (a recipe may name another one itself)."""
        return "thorough" if self.currentData() == "thorough" else "quick"

    @property
    def file(self) -> Path | None:
        """The chosen file."""
        chosen = self.currentData()
        return chosen if isinstance(chosen, Path) else None

    def take(self, path: str) -> None:
        """Choose a file; an empty name leaves the choice as it was."""
        with QSignalBlocker(self):
            if path:
                if self.count() > len(_EFFORTS) + 1:  # one file at a time
                    self.removeItem(len(_EFFORTS))
                self.insertItem(len(_EFFORTS), Path(path).name, Path(path))
                self._kept = len(_EFFORTS)
            self.setCurrentIndex(self._kept)
        if path:
            self.changed.emit()

    def _on_index(self, position: int) -> None:
        if self.itemData(position) == _OPEN:
            self.take(_ask_file(self))
            return
        self._kept = position
        self.changed.emit()


def _ask_file(parent: QWidget) -> str:
    return str(QFileDialog.getOpenFileName(parent, "Recipe", "", "Recipe (*.json *.yaml *.yml)")[0])
