"""From the name of a tool to what it does with the selected cells."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.correct.steps import PlaceStep, TableStep
from napari_sartorius.ui.correct.tools import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from napari_sartorius.ui.correct.model_drawing import ModelDrawing
    from napari_sartorius.ui.correct.object_table import ObjectTable
    from napari_sartorius.ui.correct.pointer import CanvasPointer
    from napari_sartorius.ui.correct.session import CorrectionSession
    from napari_sartorius.ui.correct.tool_panel import ToolPanel

_MOST_FOLLOWED = 50  # cells that an undo selects, so that it is seen what it changed


class ToolRunner(QObject):
    """Runs tools on what is selected in the table.

    Parameters
    ----------
    table : ObjectTable
        Whose selection the tools act on.
    panel : ToolPanel
        Whose buttons show what waits for a stroke.
    drawing : ModelDrawing
        Lets the model draw.
    """

    refused = Signal(str)
    """Why a tool could not do what was asked, in one sentence."""

    said = Signal(str)
    """What happened, where no correction was made."""

    select_asked = Signal(list, bool)
    """Labels to select, and whether to bring the last one into the middle."""

    def __init__(
        self,
        table: ObjectTable,
        panel: ToolPanel,
        drawing: ModelDrawing,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._table = table
        self._panel = panel
        self._model = drawing
        self._session: CorrectionSession | None = None
        self._pointer: CanvasPointer | None = None
        self._drawing = ""
        self.together: Callable[[], AbstractContextManager[None]] = nullcontext
        """Around a tool: what it shows on the canvas is to be shown once, at its end."""
        panel.tool_asked.connect(self.run)
        panel.category_asked.connect(self.give_category)
        panel.undo_asked.connect(self.undo)
        panel.redo_asked.connect(self.redo)
        drawing.refused.connect(self.refused)
        drawing.said.connect(self.said)
        drawing.made.connect(lambda label: self.select_asked.emit([label], False))

    def set_session(self, session: CorrectionSession | None, pointer: CanvasPointer | None) -> None:
        """Act on another layer from now on."""
        self.end_drawing()
        self._session, self._pointer = session, pointer
        self._model.set_session(session)
        if session is not None and pointer is not None:
            session.stepped.connect(self._on_stepped)
            pointer.drawn.connect(self._on_drawn)

    def run(self, name: str) -> None:
        """Run a tool on the selected cells, or let something be drawn for it."""
        if BY_NAME[name].stroke:
            self._start_drawing(name)
            return
        self.end_drawing()
        labels = self._table.selected
        actions: dict[str, Callable[[CorrectionSession], object]] = {
            "delete": lambda session: session.delete(labels),
            "merge": lambda session: session.merge(labels),
            "seeds": lambda session: session.split_by_seeds(labels),
            "fill": lambda session: session.fill_holes(labels),
            "smooth": lambda session: session.smooth(labels),
            "grow": lambda session: session.grow(labels),
            "shrink": lambda session: session.shrink(labels),
            "accept": lambda session: self._accept(session, labels),
            "opinion": lambda _: self._model.second_opinion(labels),
        }
        self._do(actions[name])

    def undo(self) -> None:
        """Take back the latest correction."""
        self._do(lambda session: session.undo())

    def redo(self) -> None:
        """Make the correction again that was taken back."""
        self._do(lambda session: session.redo())

    def take_back(self) -> None:
        """Mark the selected cells as not accepted."""
        self._do(lambda session: session.accept(self._table.selected, False))

    def give_category(self, name: str) -> None:
        """Give the selected cells a category; they stay selected under their new labels."""
        labels = self._table.selected
        if not name:
            self.refused.emit("Choose a kind of cell, or add one, under Kind.")
            return

        def give(session: CorrectionSession) -> None:
            before = session.rows.highest
            if session.set_category(labels, name):
                kept = [label for label in labels if session.rows.planes_of(label)]
                new = range(before + 1, session.rows.highest + 1)
                self.select_asked.emit([*kept, *new], False)

        self._do(give)

    def escape(self) -> None:
        """Wait for the model no more, else end drawing, else select nothing."""
        if self._model.cancel():
            self.said.emit("The model was stopped; nothing changed.")
        elif self._drawing:
            self.end_drawing()
            self.said.emit("Drawing ended.")
        else:
            self.select_asked.emit([], False)

    def end_drawing(self) -> None:
        """Give the mouse back to napari."""
        self._drawing = ""
        if self._pointer is not None:
            self._pointer.end_drawing()
        self._panel.show_drawing("")

    def _accept(self, session: CorrectionSession, labels: list[int]) -> None:
        session.accept(labels)
        if len(labels) == 1:
            self._table.refresh()
            following = self._table.next_unreviewed(labels[0])
            if following:
                self.select_asked.emit([following], True)

    def _start_drawing(self, name: str) -> None:
        was = self._drawing
        self.end_drawing()
        if self._pointer is None or was == name:
            return
        self._drawing = name
        if name == "prompt":
            self._model.get_ready()
        self._pointer.start_drawing(BY_NAME[name].stroke)
        self._panel.show_drawing(name)
        tool = BY_NAME[name]
        self.said.emit(f"{tool.waiting or tool.hint} Esc ends.")

    def _on_drawn(self, stroke: str, points: Any) -> None:
        labels = self._table.selected

        def use(session: CorrectionSession) -> None:
            if self._drawing == "line":
                session.split_by_line(points, labels)
            elif self._drawing == "hole":
                session.cut_hole(points, labels)
            elif self._drawing == "draw":
                label = session.draw(points, self._panel.chosen_category)
                if label:
                    self.select_asked.emit([label], False)
            elif stroke in ("more", "less"):
                self._model.refine(points[0], stroke == "more", labels)
            elif self._drawing == "prompt":
                self._model.add(points, self._panel.chosen_category)

        self._do(use)

    def _on_stepped(self, step: Any, how: str) -> None:
        """After an undo select what it changed, so that it is seen."""
        if how == "edit" or self._session is None:
            return
        if isinstance(step, PlaceStep):
            return  # the review shows it again
        if isinstance(step, TableStep):
            labels = list(step.labels)
        else:
            found = [labels for one in step.changes for labels in (one.before, one.after)]
            labels = np.unique(np.concatenate(found)).tolist() if found else []
        labels = [int(one) for one in labels if one and self._session.rows.planes_of(int(one))]
        if len(labels) <= _MOST_FOLLOWED:
            self.select_asked.emit(labels, False)

    def _do(self, action: Callable[[CorrectionSession], object]) -> None:
        """Run a tool; what it cannot do is said where everything else is."""
        if self._session is None:
            return
        try:
            with self.together():
                action(self._session)
        except UserError as error:
            self.refused.emit(str(error))
