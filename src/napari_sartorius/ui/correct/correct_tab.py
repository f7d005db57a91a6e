"""The Correct tab: choose a label layer, find wrong cells in its table, and put them right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.correct import table_export
from napari_sartorius.ui.correct.canvas_selection import CanvasSelection
from napari_sartorius.ui.correct.category_choice import CategoryChoice
from napari_sartorius.ui.correct.edited_layer import why_not_correctable
from napari_sartorius.ui.correct.image_below import pixels_below
from napari_sartorius.ui.correct.model_drawing import ModelDrawing
from napari_sartorius.ui.correct.object_table import ObjectTable
from napari_sartorius.ui.correct.outline_layer import is_overlay
from napari_sartorius.ui.correct.pointer import CanvasPointer
from napari_sartorius.ui.correct.review_queue import ReviewQueue
from napari_sartorius.ui.correct.review_section import ReviewSection
from napari_sartorius.ui.correct.selection import Selection
from napari_sartorius.ui.correct.session import CorrectionSession
from napari_sartorius.ui.correct.shown_place import shown_plane
from napari_sartorius.ui.correct.steps import PlaceStep
from napari_sartorius.ui.correct.tab_keys import TabKeys
from napari_sartorius.ui.correct.tab_layout import lay_out
from napari_sartorius.ui.correct.tool_panel import ToolPanel
from napari_sartorius.ui.correct.tool_runner import ToolRunner
from napari_sartorius.ui.correct.tools import BY_NAME, REVIEW
from napari_sartorius.ui.forms import add_row, new_form, quiet, rule
from napari_sartorius.ui.layer_choice import LayerChoice
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.components import ViewerModel
    from napari.layers import Labels, Layer

    from napari_sartorius.postprocess.usual import Usual
    from napari_sartorius.ui.correct.model_drawing import ModelChoice

_WELCOME = "Click a cell in the image or in the table. Press ? for all keys."
_TALL = 640  # pixels; lower tabs need all of their room for the tools
_EMPTY = "Segment an image or add labels first: there is nothing to correct."


def is_correctable(layer: Layer) -> bool:
    """Whether a layer belongs into the menu of the tab."""
    from napari.layers import Labels

    return isinstance(layer, Labels) and not is_overlay(layer)


class CorrectTab(QWidget):
    """Table, tools and what the last one did.

    Once a layer was chosen while the tab was on screen, everything that happens to its pixels is
    followed until another one is chosen. Keys and outlines are there while the tab is on screen.

    Parameters
    ----------
    viewer : ViewerModel
        Whose label layers are corrected.
    keys : mapping of str to str, optional
        Key by the name of a tool, where the user wants another one than the usual.
    model : ModelChoice, optional
        Who draws cells where the user points.
    """

    place_judged = Signal()
    """Somebody said that there is no cell at a place, or took it back; the pixels do not tell."""

    def __init__(
        self,
        viewer: ViewerModel,
        keys: Mapping[str, str] | None = None,
        model: ModelChoice | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session: CorrectionSession | None = None
        self._pointer: CanvasPointer | None = None
        self.layers = LayerChoice(viewer, is_correctable, "no labels yet")
        self.table = ObjectTable()
        self.review = ReviewSection(keys or {})
        self.panel = ToolPanel(keys or {})
        self.status = quiet()
        self.saved = quiet()
        self.drawing = ModelDrawing(viewer, model, self)
        self.runner = ToolRunner(self.table, self.panel, self.drawing, self)
        self._canvas = CanvasSelection(viewer)
        self._selection = Selection(
            viewer, self.table, self._canvas, self.review, self.isVisible, self
        )
        self.runner.together = self._canvas.together
        self.usual_elsewhere: Callable[[], Usual | None] = lambda: None
        """What is usual in other images of the same project; the dock sets it."""
        self._categories = CategoryChoice(self.layers, self.table, self.panel, self.runner, self)
        self.keys = self._make_keys(keys or {})
        self._build()
        self._connect()
        self.panel.set_ready(False)
        self._say(_EMPTY)

    def _build(self) -> None:
        form = new_form()
        add_row(form, "Labels", self.layers, "correct_layer")
        upper = (self.table, rule(), self.review, rule(), self.panel)
        self.scroll = lay_out(self, form, upper, (self.status, self.saved))
        self.saved.hide()

    def _connect(self) -> None:
        self.layers.layer_changed.connect(self._on_layer)
        self.review.said.connect(self._say)
        self.review.refused.connect(lambda text: self._say(text, "warning"))
        self.table.copy_asked.connect(lambda: self._say(table_export.copy(self.table.model)))
        self.table.csv_asked.connect(self.save_table)
        self.runner.refused.connect(lambda text: self._say(text, "warning"))
        self.runner.said.connect(self._say)
        self.runner.select_asked.connect(self.select)
        self.drawing.sketched.connect(
            lambda points: self._canvas.sketch(points, self.table.selected)
        )
        self._categories.refused.connect(lambda text: self._say(text, "warning"))
        self._categories.said.connect(self._say)
        self.panel.sheet_asked.connect(self.keys.show_sheet)
        self.panel.overwrite.toggled.connect(self._on_overwrite)

    def _make_keys(self, keys: Mapping[str, str]) -> TabKeys:
        others = {
            "Control-Z": self.runner.undo,
            "Control-Shift-Z": self.runner.redo,
            "Backspace": lambda: self.runner.run("delete"),
            "Shift-Backspace": self.runner.take_back,
            "Escape": self.runner.escape,
        }
        kinds = self._categories
        give = kinds.give_at
        return TabKeys(keys, self.run, give, others, lambda: kinds.names, self, self.table.view)

    @property
    def session(self) -> CorrectionSession | None:
        """The corrections of the layer chosen; None until the tab was on screen."""
        return self._session

    def showEvent(self, event: Any) -> None:
        """Follow the layer."""
        super().showEvent(event)
        self._attach(self.layers.layer)

    def hideEvent(self, event: Any) -> None:
        """Give napari its keys back while another tab is used; what can be undone is kept."""
        super().hideEvent(event)
        self._release()

    def resizeEvent(self, event: Any) -> None:
        """Leave the room of what is said last to the tools on a low screen."""
        super().resizeEvent(event)
        self.show_saved(self.saved.text())

    def show_saved(self, text: str) -> None:
        """Show what is saved of the project, where there is room; empty without a project."""
        self.saved.setText(text)
        self.saved.setVisible(bool(text) and self.height() >= _TALL)

    def stop(self) -> None:
        """Stop following the viewer; the tab is going away."""
        self._detach()
        self.layers.stop()
        self._selection.stop()

    def run(self, name: str) -> None:
        """Run a tool by its name, as its key does."""
        if BY_NAME[name].group == REVIEW:
            self.runner.end_drawing()
            self.review.run(name)
        else:
            self.runner.run(name)

    def select(self, labels: list[int], centre: bool = False) -> None:
        """Select cells in the table and in the image."""
        self._selection.select(labels, centre)

    def give_category_at(self, position: int) -> None:
        """Give the selected cells the category at a position of the list."""
        self._categories.give_at(position)

    def save_table(self, path: str = "") -> None:
        """Save the rows shown as CSV; asks for a file when none is given."""
        try:
            self._say(table_export.save(self.table.model, path, self))
        except UserError as error:
            self._say(str(error), "error")

    def _on_layer(self, layer: Labels | None) -> None:
        if self.isVisible() or layer is None:
            self._attach(layer)
        elif self._session is not None:
            self._detach()

    def _attach(self, layer: Labels | None) -> None:
        if self._session is None or self._session.layer is not layer:
            self._detach()
            if layer is None:
                self._say(_EMPTY)
                return
            reason = why_not_correctable(layer)
            if reason is not None:
                self._say(reason, "warning")
                return
            self._start(layer)
        self._take_keys()

    def _start(self, layer: Labels) -> None:
        session = CorrectionSession(layer, lambda: shown_plane(self._viewer, layer), self)
        session.said.connect(self._say)
        session.warned.connect(lambda text: self._say(text, "warning"))
        self._session = self._canvas.session = session
        self._pointer = CanvasPointer(self._viewer, layer, self)
        self._pointer.clicked.connect(self._on_clicked)
        self.runner.set_session(session, self._pointer)
        self._on_overwrite(self.panel.overwrite.isChecked())
        layer.events.features.connect(self._on_features)
        self.table.set_layer(layer)
        self.review.set_queue(
            ReviewQueue(
                session,
                lambda plane: pixels_below(self._viewer, layer, plane),
                elsewhere=lambda: self.usual_elsewhere(),
            ),
            session,
        )
        session.stepped.connect(self._on_stepped)
        self._categories.show(session.rows.default_category)
        self.panel.set_ready(True)
        self._canvas.show([])
        self._say(_WELCOME)

    def _take_keys(self) -> None:
        if self._session is None or self.keys.are_given:
            return
        self.keys.give(self._session.layer)
        if any(self._session.layer is one for one in self._viewer.layers):
            self._viewer.layers.selection.active = self._session.layer
        self._canvas.draw(self.table.selected)

    def _release(self) -> None:
        """Leave napari as it was, but keep on following what changes."""
        self.runner.end_drawing()
        self.keys.take()
        self._canvas.clear()

    def _detach(self) -> None:
        self._release()
        self.review.set_queue(None, None)
        self.runner.set_session(None, None)
        self._canvas.session = None
        if self._pointer is not None:
            self._pointer.stop()
            self._pointer.deleteLater()
            self._pointer = None
        if self._session is not None:
            self._session.layer.events.features.disconnect(self._on_features)
            self._session.stop()
            self._session.deleteLater()
            self._session = None
        self.table.set_layer(None)
        self.panel.set_ready(False)

    def _on_clicked(self, y: float, x: float, add: bool) -> None:
        if self._session is not None and self.isVisible():
            self._viewer.layers.selection.active = self._session.layer
            self._selection.click(y, x, add)

    def _on_features(self, event: object = None) -> None:
        """Follow the table at once, so that image and outlines change in one drawing."""
        if self._session is None:
            return
        self.table.refresh()
        self._categories.show()
        if self.isVisible():
            self._canvas.show(self.table.selected)

    def _on_stepped(self, step: Any, how: str) -> None:
        if isinstance(step, PlaceStep):
            self.place_judged.emit()

    def _on_overwrite(self, on: bool) -> None:
        if self._session is not None:
            self._session.overwrite = on
            self._session.layer.preserve_labels = not on

    def _say(self, text: str, role: str = "muted") -> None:
        if text:
            set_role(self.status, role)
            self.status.setText(text)
