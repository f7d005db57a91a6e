"""Selected cells, the same in the table, on the canvas and in the review."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_sartorius.ui.correct.canvas_selection import CanvasSelection
    from napari_sartorius.ui.correct.object_table import ObjectTable
    from napari_sartorius.ui.correct.review_queue import Doubtful
    from napari_sartorius.ui.correct.review_section import ReviewSection


class Selection(QObject):
    """Whoever selects cells, the others follow.

    Parameters
    ----------
    viewer : ViewerModel
        Whose slices are followed.
    table : ObjectTable
        Holds the selection.
    canvas : CanvasSelection
        Outlines it.
    review : ReviewSection
        Asks for cells, and says what is odd about those that are selected.
    is_on_screen : callable
        Whether the tab is seen, so that there are outlines.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        table: ObjectTable,
        canvas: CanvasSelection,
        review: ReviewSection,
        is_on_screen: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._table, self._canvas, self._review = table, canvas, review
        self._is_on_screen = is_on_screen
        table.selection_changed.connect(self._follow)
        review.select_asked.connect(self._show_doubtful)
        review.place_asked.connect(self._show_place)
        viewer.dims.events.current_step.connect(self._on_slice)

    def stop(self) -> None:
        """Stop following the viewer."""
        self._viewer.dims.events.current_step.disconnect(self._on_slice)

    def select(self, labels: list[int], centre: bool = False) -> None:
        """Select cells; `centre` brings the last one into the middle of the canvas."""
        self._table.select(labels)
        self._follow(labels, labels[-1] if centre and labels else 0)

    def click(self, y: float, x: float, add: bool) -> None:
        """Select the cell at a place, or what is there beside those that are selected."""
        self.select(self._canvas.after_click(self._table.selected, (y, x), add))

    def _follow(self, labels: list[int], go_to: int = 0) -> None:
        self._canvas.show(labels, go_to)
        self._review.follow(labels)

    def _show_doubtful(self, label: int) -> None:
        self.select([label], True)
        if self._review.current is not None:
            self._canvas.enlarge(self._review.current.box)

    def _show_place(self, entry: Doubtful) -> None:
        self._table.select([])
        self._canvas.show_place(entry.plane, entry.box)

    def _on_slice(self, event: object = None) -> None:
        if self._is_on_screen():
            self._canvas.draw(self._table.selected)
