"""Looking at a result: filter by score and category, outlines, colours, and the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_sartorius.core.errors import UserError
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import add_row, button, heading, new_form, quiet, rule
from napari_sartorius.ui.layer_choice import LayerChoice
from napari_sartorius.ui.layer_writer import OPACITY
from napari_sartorius.ui.result_view import ResultView, is_result
from napari_sartorius.ui.single_shot import single_shot
from napari_sartorius.ui.summary import filter_text, provenance_text
from napari_sartorius.ui.tooltips import tooltip

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

_REDRAW_MS = 30
_LARGE_SIDE = 2000


class ResultPanel(QWidget):
    """The section "Result" of the Segment tab; hidden while the viewer holds no result.

    It works on any label layer whose table has the columns ``index`` and ``score``, so on results
    of earlier runs and on those read from a file, too.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer whose label layers are offered.
    """

    copy_asked = Signal(object)
    """Emitted with the `ResultView` whose shown objects the user wants as a new layer."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._views: dict[Labels, ResultView] = {}
        self._connected: Labels | None = None
        self.layers = LayerChoice(viewer, is_result, "no result yet")
        self.score = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.score.setRange(0.0, 1.0)
        self.score.setSingleStep(0.01)
        self.score.setDecimals(2)
        self.categories_box = QWidget()
        self._category_rows = QVBoxLayout(self.categories_box)
        self._category_rows.setContentsMargins(0, 0, 0, 0)
        self._category_rows.setSpacing(3)
        self.category_checks: dict[str, QCheckBox] = {}
        self._category_counts: dict[str, QLabel] = {}
        self.colour_by = Choice()
        self.colour_by.addItem("Cell", False)
        self.colour_by.addItem("Category", True)
        self.contour = QCheckBox("Outlines only")
        self.contour.setToolTip(tooltip("contour"))
        self.figures = quiet(role="body")
        self.origin = quiet()
        self.copy_button = button("Copy shown cells to a new layer", "link", "copy_shown")
        self._redraw = single_shot(self, _REDRAW_MS, self._apply)
        self._build()
        self.layers.layer_changed.connect(self._on_layer)
        viewer.layers.events.removed.connect(self._on_removed)
        self.score.valueChanged.connect(self._on_filter)
        self.colour_by.currentIndexChanged.connect(self._on_filter)
        self.contour.toggled.connect(self._on_contour)
        self.copy_button.clicked.connect(self._on_copy)
        self._on_layer(self.layers.layer)

    def _build(self) -> None:
        form = new_form()
        add_row(form, "Labels", self.layers, "result_layer")
        add_row(form, "Score from", self.score, "score_slider")
        self._show_label = add_row(form, "Show", self.categories_box)
        self._show_label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        add_row(form, "Colour by", self.colour_by, "colour_by")
        form.addRow("", self.contour)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(rule())
        layout.addWidget(heading("Result"))
        layout.addWidget(self.figures)
        layout.addLayout(form)
        layout.addWidget(self.origin)
        layout.addWidget(self.copy_button)
        self._form = form

    @property
    def view(self) -> ResultView | None:
        """The filter and colours of the chosen layer."""
        layer = self.layers.layer
        return self._views.get(layer) if layer is not None else None

    def show_layer(self, layer: Labels) -> None:
        """Choose a result that was just added; it gets its colours with that."""
        self.layers.choose(layer)

    def stop(self) -> None:
        """Stop following the viewer and the layers."""
        self._redraw.stop()
        self._connect(None)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.layers.stop()
        for view in self._views.values():
            view.stop()

    def _on_removed(self, event: Any) -> None:
        """Let go of a layer, whose pixels would stay in memory as long as the dock."""
        view = self._views.pop(event.value, None)
        if view is not None:
            view.stop()

    def _on_layer(self, layer: Labels | None) -> None:
        self._connect(layer)
        self.setVisible(layer is not None)
        if layer is None:
            return
        is_new = layer not in self._views
        if is_new:
            self._views[layer] = ResultView(layer)
        self._show_view()
        if is_new and self._views[layer].may_colour():
            self._apply()

    def _connect(self, layer: Labels | None) -> None:
        if self._connected is not None:
            self._connected.events.contour.disconnect(self._on_layer_contour)
            self._connected.events.features.disconnect(self._on_features)
        self._connected = layer
        if layer is not None:
            layer.events.contour.connect(self._on_layer_contour)
            layer.events.features.connect(self._on_features)

    def _show_view(self) -> None:
        view = self.view
        if view is None:
            return
        self._fill_categories(view)
        with QSignalBlocker(self.score), QSignalBlocker(self.colour_by):
            self.score.setValue(view.min_score)
            self.colour_by.setCurrentIndex(int(view.by_category))
        self._on_layer_contour()
        self.origin.setText(provenance_text(view.layer))
        self.origin.setVisible(bool(self.origin.text()))
        self._show_figures()

    def _fill_categories(self, view: ResultView) -> None:
        colours = view.category_colours()
        if list(colours) != list(self.category_checks):
            while self._category_rows.count():
                row = self._category_rows.takeAt(0).widget()
                row.hide()
                row.deleteLater()
            self.category_checks, self._category_counts = {}, {}
            for name, colour in colours.items():
                self._category_rows.addWidget(self._category_row(name, colour))
        for name, check in self.category_checks.items():
            with QSignalBlocker(check):
                check.setChecked(name not in view.hidden_categories)
        named = any(colours)
        self._show_label.setVisible(named)
        self.categories_box.setVisible(named)

    def _category_row(self, name: str, colour: str) -> QWidget:
        row = QWidget()
        inside = QHBoxLayout(row)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(6)
        check = QCheckBox()
        check.setToolTip(f"Show or hide all cells of the category {name}.")
        check.toggled.connect(self._on_filter)
        text = QLabel(f'<span style="color:{colour}">●</span>&nbsp; {name}')
        text.setBuddy(check)
        count = quiet()
        count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        inside.addWidget(check)
        inside.addWidget(text)
        inside.addWidget(count, 1)
        self.category_checks[name] = check
        self._category_counts[name] = count
        return row

    def _on_filter(self) -> None:
        view = self.view
        if view is None:
            return
        view.min_score = float(self.score.value())
        view.by_category = bool(self.colour_by.currentData())
        view.hidden_categories = {
            name for name, check in self.category_checks.items() if not check.isChecked()
        }
        self._show_figures()
        if not self._redraw.isActive():  # a fast-moving slider redraws about 30 times a second
            self._redraw.start()

    def _apply(self) -> None:
        if self.view is None:
            return
        try:
            self.view.apply()
        except UserError as error:
            self.origin.setText(str(error))
            self.origin.show()

    def _show_figures(self) -> None:
        view = self.view
        if view is None:
            return
        counts = view.counts()
        for name, (shown, total) in counts.items():
            if name in self._category_counts:
                text = f"{total:,}" if shown == total else f"{shown:,} of {total:,}"
                self._category_counts[name].setText(text)
        shown = int((~view.hidden()).sum())
        self.figures.setText(filter_text(shown, len(view.layer.features), view.confluence()))

    def _on_contour(self, on: bool) -> None:
        layer = self.layers.layer
        if layer is not None:
            # thin outlines vanish when a large image is shown as a whole
            layer.contour = (2 if max(layer.data.shape[-2:]) > _LARGE_SIDE else 1) if on else 0
            if layer.opacity in (OPACITY, 1.0):  # not one that the user has set
                layer.opacity = 1.0 if on else OPACITY

    def _on_layer_contour(self, event: Any = None) -> None:
        if self._connected is not None:
            with QSignalBlocker(self.contour):
                self.contour.setChecked(self._connected.contour > 0)

    def _on_features(self, event: Any = None) -> None:
        if self._connected is not None and is_result(self._connected):
            self._show_view()
            self._redraw.start()

    def _on_copy(self) -> None:
        if self.view is not None:
            self.copy_asked.emit(self.view)
