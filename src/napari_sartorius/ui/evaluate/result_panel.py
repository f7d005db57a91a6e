"""What a comparison found: figures, curve, threshold, and the walk through its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_sartorius.ui.correct.keys import LayerKeys
from napari_sartorius.ui.correct.pointer import CanvasPointer
from napari_sartorius.ui.correct.shown_place import shown_plane
from napari_sartorius.ui.evaluate import saving, wording
from napari_sartorius.ui.evaluate.error_list import ErrorList
from napari_sartorius.ui.evaluate.error_spot import ErrorSpot
from napari_sartorius.ui.evaluate.errors_layer import ErrorsLayer, paint
from napari_sartorius.ui.evaluate.in_background import InBackground
from napari_sartorius.ui.evaluate.outcome_chips import OutcomeChips
from napari_sartorius.ui.evaluate.precision_plot import IOUS, PrecisionPlot
from napari_sartorius.ui.evaluate.slice_table import SliceTable
from napari_sartorius.ui.forms import Fold, add_row, new_form, quiet, rule
from napari_sartorius.ui.single_shot import single_shot
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sartorius.ui.evaluate.compared import Compared, Rows

LOWEST, HIGHEST = 0.05, 0.95
_REPAINT_MS = 120


class ComparisonPanel(QWidget):
    """Hidden until something was compared.

    The figures, the curve and the list follow the slider at once; the layer is painted anew when
    the slider rests.

    Parameters
    ----------
    viewer : ViewerModel
        Where errors are shown.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: list[Labels] = []
        self._rows: Rows | None = None
        self._painted: Rows | None = None
        self._keys: LayerKeys | None = None
        self._pointer: CanvasPointer | None = None
        self.compared: Compared | None = None
        self.errors = ErrorsLayer(viewer)
        self._spot = ErrorSpot(viewer)
        self.figures = quiet(role="body")
        self.scores = quiet()
        self.iou = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.iou.setRange(LOWEST, HIGHEST)
        self.iou.setSingleStep(0.05)
        self.iou.setDecimals(2)
        self.iou.setValue(0.5)
        self.plot = PrecisionPlot()
        self.chips = OutcomeChips()
        self.slices = Fold("Slice by slice", "fold", self._make_slices)
        self.list = ErrorList()
        self.said = quiet(role="body")
        self._painting = InBackground(self)
        self._later = single_shot(self, _REPAINT_MS, self._repaint)
        self._build()
        self._connect()
        self.hide()

    def _build(self) -> None:
        form = new_form()
        add_row(form, "IoU above", self.iou, "evaluate_iou")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for widget in (rule(), self.figures, self.scores):
            layout.addWidget(widget)
        layout.addLayout(form)
        for widget in (self.plot, self.slices, self.chips):
            layout.addWidget(widget)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.said)

    def _connect(self) -> None:
        self.iou.valueChanged.connect(self._on_iou)
        self.plot.iou_asked.connect(
            lambda value: self.iou.setValue(min(max(value, LOWEST), HIGHEST))
        )
        self.chips.changed.connect(self._on_chips)
        self.slices.switch.toggled.connect(lambda _: self._show_slices())
        self.list.row_chosen.connect(self.go_to)
        self.list.csv_asked.connect(self.save)
        self._painting.finished.connect(self._on_painted)
        self._painting.failed.connect(lambda text: self._say(text, "warning"))

    @property
    def is_painted(self) -> bool:
        """Whether the layer shows what the list shows; it follows the slider a moment later."""
        return self._painted is not None and self._painted is self._rows

    def show_compared(self, compared: Compared, layers: list[Labels]) -> None:
        """Show another comparison of these layers, that of found cells first."""
        self.compared, self._layers = compared, list(layers)
        self._spot.hide()
        self.scores.setText(wording.scores(compared))
        self.plot.show_curve(compared.precision(IOUS))
        self.slices.setVisible(len(compared.planes) > 1)
        self._show_rows()
        self.show()
        self._repaint()

    def go_to(self, row: int) -> None:
        """Bring an object into the middle of the canvas, outline it, and say what it is."""
        rows, layer = self._rows, self.errors.layer
        if self.compared is None or rows is None:
            return
        self._say(wording.sentence(self.compared, rows, row))
        if layer is not None:
            place = self.compared.planes[rows.plane[row]].place
            self._spot.show(layer, self._in_layer(place), self.compared.masks_of(rows, row))

    def save(self, path: str = "") -> None:
        """Save the lines of the list as CSV; asks for a file when none is given."""
        if self.compared is not None and self._rows is not None:
            text, role = saving.save(self.compared, self._rows, self.list.model.order, path, self)
            if text:
                self._say(text, role)

    def stop(self) -> None:
        """Leave the viewer as it was; the tab is going away."""
        self._later.stop()
        self._painting.abandon()
        self._clear_canvas()
        self.errors.leave_the_stage()

    def showEvent(self, event: Any) -> None:
        """Show the layer of errors."""
        super().showEvent(event)
        self._take_canvas()

    def hideEvent(self, event: Any) -> None:
        """Show what was compared instead, while another tab is used."""
        super().hideEvent(event)
        self._clear_canvas()
        self.errors.leave_the_stage()

    # -- following the threshold ------------------------------------------------------------------

    def _show_rows(self) -> None:
        if self.compared is None:
            return
        counts, self._rows = self.compared.at(self.iou.value())
        self.figures.setText(wording.figures(counts))
        self.chips.show_counts(counts)
        self.plot.show_iou(self.iou.value())
        self.list.show_rows(self.compared, self._rows, self.chips.shown)
        self._say("")

        self._show_slices()

    def _make_slices(self) -> SliceTable:
        table = SliceTable()
        table.slice_asked.connect(self._on_slice_asked)
        return table

    def _show_slices(self) -> None:
        if self.compared is not None and self.slices.is_made:
            self.slices.content.show_slices(self.compared.slices(self.iou.value()))

    def _on_slice_asked(self, position: int) -> None:
        if self.compared is not None and self.errors.layer is not None:
            place = self._in_layer(self.compared.planes[position].place)
            self._spot.show_slice(self.errors.layer, place)

    def _on_iou(self, value: float) -> None:
        self._spot.hide()
        self._show_rows()
        self._later.start()

    def _on_chips(self) -> None:
        current = self.list.current
        with QSignalBlocker(self.list):
            self.list.show_rows(self.compared, self._rows, self.chips.shown)
            if current is not None:
                self.list.choose(current)
        self.errors.colour(self.chips.shown)

    def _repaint(self) -> None:
        compared, rows = self.compared, self._rows
        if compared is None or rows is None:
            return
        found = self._layers[0]
        leading = tuple(found.data.shape[:-2])
        if len(compared.planes) + compared.left_out == 1:
            leading = (1,) * len(leading)
        self._painting.run(lambda tell: (compared, rows, paint(compared, rows, leading, tell)))

    def _on_painted(self, painted: tuple[Any, Any, Any]) -> None:
        compared, rows, picture = painted
        if compared is not self.compared or rows is not self._rows:
            return
        self._painted = rows
        before = self.errors.layer
        if not self.errors.is_of(compared):
            self._clear_canvas()
            self.errors.leave_the_stage()
            self.errors.remove()
        self.errors.show(self._layers[0], compared, rows, picture, self.chips.shown)
        if self.errors.layer is not before:
            self._clear_canvas()
        self._take_canvas()

    # -- the canvas ----------------------------------------------------------------------------

    def _take_canvas(self) -> None:
        """Keys, clicks and the stage, while the tab is on screen."""
        layer = self.errors.layer
        if layer is None:
            return
        if not self.isVisible():
            self.errors.leave_the_stage()
            return
        self.errors.take_the_stage(self._layers)
        if self._keys is None:
            self._keys = LayerKeys(layer, self.list.keys)
            self._pointer = CanvasPointer(self._viewer, layer, self)
            self._pointer.clicked.connect(self._on_clicked)
            self._viewer.layers.selection.active = layer

    def _clear_canvas(self) -> None:
        self._spot.remove()
        if self._keys is not None:
            self._keys.remove()
            self._keys = None
        if self._pointer is not None:
            self._pointer.stop()
            self._pointer.deleteLater()
            self._pointer = None

    def _on_clicked(self, y: float, x: float, add: bool) -> None:
        layer = self.errors.layer
        plane = shown_plane(self._viewer, layer) if layer is not None else None
        if plane is None or not self.is_painted:
            return
        row = self.errors.row_at(plane, y, x)
        if row is not None and row in self.list.model.order:
            self.list.choose(row)
            self.go_to(row)

    def _in_layer(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return a slice's place in the layer of errors, which may hold one slice only."""
        layer = self.errors.layer
        single = layer is not None and layer.data.shape[:-2] == (1,) * len(place)
        return (0,) * len(place) if single else place

    def _say(self, text: str, role: str = "body") -> None:
        set_role(self.said, role)
        self.said.setText(text)
