"""The categories of the chosen layer: offered, given by number keys, and added to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QInputDialog

from napari_sartorius.ui.correct.layer_categories import add_category, category_names

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_sartorius.ui.correct.object_table import ObjectTable
    from napari_sartorius.ui.correct.tool_panel import ToolPanel
    from napari_sartorius.ui.correct.tool_runner import ToolRunner
    from napari_sartorius.ui.layer_choice import LayerChoice


class CategoryChoice(QObject):
    """Between the layer's own table of categories and the menu under *Kind*.

    Parameters
    ----------
    layers : LayerChoice
        Says whose categories they are.
    table : ObjectTable
        Has the selection that gets a category.
    panel : ToolPanel
        Has the menu.
    runner : ToolRunner
        Gives categories.
    parent : QWidget
        In whose window a new name is asked for.
    """

    said = Signal(str)
    refused = Signal(str)

    def __init__(
        self,
        layers: LayerChoice,
        table: ObjectTable,
        panel: ToolPanel,
        runner: ToolRunner,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._layers, self._table, self._panel, self._runner = layers, table, panel, runner
        self._window = parent
        self._usual = ""
        panel.new_category_asked.connect(self._ask_new)

    @property
    def names(self) -> list[str]:
        """Names in the order of the number keys."""
        layer = self._layers.layer
        return category_names(layer) if layer is not None else []

    def show(self, usual: str | None = None) -> None:
        """Offer the layer's categories; `usual` is chosen for a layer that is new here."""
        self._panel.show_categories(self.names)
        if usual is not None:
            self._usual = usual
            self._panel.choose_category(usual)

    def give_at(self, position: int) -> None:
        """Give the selected cells the category at a position, or draw with it from now on."""
        names = self.names
        if position >= len(names):
            self.refused.emit(f"There is no kind {position + 1}; add one under Kind.")
            return
        self._panel.choose_category(names[position])
        if self._table.selected:
            self._runner.give_category(names[position])
        else:
            self.said.emit(f"Cells that you draw will be {names[position]}.")

    def add(self, name: str) -> None:
        """Add a category to the layer's own table of them and choose it."""
        layer = self._layers.layer
        if layer is not None:
            add_category(layer, name)
            self._panel.show_categories(category_names(layer))
            self._panel.choose_category(name)

    def _ask_new(self) -> None:
        name, accepted = QInputDialog.getText(self._window, "New kind of cell", "Name:")
        if accepted and name.strip():
            self.add(name.strip())
        else:
            self._panel.choose_category(self._usual)
