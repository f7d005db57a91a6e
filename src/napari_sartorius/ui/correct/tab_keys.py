"""The keys of the Correct tab: on the layer that is corrected, in the table, and on their sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_sartorius.ui.correct.cheat_sheet import CheatSheet
from napari_sartorius.ui.correct.keys import (
    LayerKeys,
    bindings,
    sheet_shortcuts,
    table_shortcuts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.layers import Labels
    from qtpy.QtWidgets import QWidget


class TabKeys(QObject):
    """Gives keys to a layer while the tab is on screen, and takes them away again.

    Parameters
    ----------
    keys : mapping of str to str
        Key by the name of a tool, where the user wants another one than the usual.
    run, categorise, others
        What the keys do, as in `bindings`.
    categories : callable
        Names of the categories in the order of the number keys, for the sheet.
    tab, table : QWidget
        Where ``?`` shows the sheet, and where the keys work as they do on the layer.
    """

    def __init__(
        self,
        keys: Mapping[str, str],
        run: Callable[[str], None],
        categorise: Callable[[int], None],
        others: Mapping[str, Callable[[], None]],
        categories: Callable[[], Sequence[str]],
        tab: QWidget,
        table: QWidget,
    ) -> None:
        super().__init__(tab)
        self._keys, self._categories, self._tab = keys, categories, tab
        self._actions = bindings(keys, run, categorise, others)
        self._on_layer: LayerKeys | None = None
        self.sheet: CheatSheet | None = None
        table_shortcuts(table, self._actions)
        sheet_shortcuts(tab, self.show_sheet)

    @property
    def are_given(self) -> bool:
        """Whether a layer has the keys."""
        return self._on_layer is not None

    def give(self, layer: Labels) -> None:
        """Give the keys to a layer."""
        self._on_layer = LayerKeys(layer, self._actions)

    def take(self) -> None:
        """Take them away from the layer that has them."""
        if self._on_layer is not None:
            self._on_layer.remove()
            self._on_layer = None

    def show_sheet(self) -> None:
        """Show all keys, once."""
        if self.sheet is None or not self.sheet.isVisible():
            self.sheet = CheatSheet(self._keys, self._categories(), self._tab)
            self.sheet.show()
