"""The Evaluate tab: compare found cells with true ones, and look at every error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.io.image_names import title_of
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.evaluate.compared import Compared, compare
from napari_sartorius.ui.evaluate.in_background import InBackground
from napari_sartorius.ui.evaluate.likely_layers import FoundLayer
from napari_sartorius.ui.evaluate.result_panel import ComparisonPanel
from napari_sartorius.ui.evaluate.sides import (
    FileSide,
    LayerSide,
    is_stack,
    planes_of_both,
    planes_of_one,
)
from napari_sartorius.ui.evaluate.truth_choice import TruthChoice
from napari_sartorius.ui.evaluate.truth_file import candidates
from napari_sartorius.ui.evaluate.wording import left_out
from napari_sartorius.ui.forms import add_row, button, heading, new_form, quiet, set_row_visible
from napari_sartorius.ui.run_panel import Tone
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sartorius.io.coco_dataset import CocoDataset
    from napari_sartorius.ui.evaluate.sides import Plane

_WELCOME = "Compares found cells with true ones: drawn by hand, or from an annotated data set."
_EMPTY = "Segment an image, or add labels first: there is nothing to compare."
_STALE = "The labels were changed since: compare again to see it."


class EvaluateTab(QWidget):
    """What is compared, the button, and below it what came out.

    Parameters
    ----------
    viewer : ViewerModel
        Whose labels layers are compared.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._dataset: tuple[str, CocoDataset] | None = None
        self._pending: list[Labels] = []
        self._names = self._shown = ""
        self._watched: list[Labels] = []
        self._work = InBackground(self)
        self._reading = InBackground(self)
        self.found = FoundLayer(viewer)
        self.truth = TruthChoice(viewer)
        self.slices = Choice()
        self.slices.addItem("The shown one", False)
        self.slices.addItem("All", True)
        self.compare_button = button("Compare", "primary", "evaluate_compare")
        self.status = quiet()
        self.panel = ComparisonPanel(viewer)
        self._build()
        self._connect()
        self._on_choice()

    def _build(self) -> None:
        self._form = new_form()
        add_row(self._form, "Found", self.found, "evaluate_found")
        add_row(self._form, "Truth", self.truth, "evaluate_truth")
        add_row(self._form, "Slices", self.slices, "evaluate_slices")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(heading("Compare with the truth"))
        layout.addLayout(self._form)
        layout.addWidget(self.compare_button)
        layout.addWidget(self.status)
        layout.addWidget(self.panel, 1)
        layout.addStretch(0)

    def _connect(self) -> None:
        self.found.layer_changed.connect(self._on_found)
        self.truth.changed.connect(self._on_choice)
        self.truth.file_asked.connect(self.open_file)
        self.compare_button.clicked.connect(self.compare)
        self._work.progressed.connect(self._say)
        self._work.finished.connect(self._on_compared)
        self._work.failed.connect(self._on_failed)
        self._reading.finished.connect(self._on_file)
        self._reading.failed.connect(self._on_failed)

    def compare(self) -> None:
        """Compare what is chosen; while that goes on, stop it."""
        if self._work.is_running:
            self._work.abandon()
            self._show_running(False)
            self._say("Stopped.")
            return
        found = self.found.layer
        try:
            truth, places = self._sides(found)
        except UserError as error:
            self._on_failed(str(error))
            return
        side = LayerSide.of(found)
        self._pending = [one for one in (found, self.truth.layer) if one is not None]
        self._names = f"{found.name} with {truth.name}"
        self._show_running(True)
        self._say("Comparing …")
        self._work.run(lambda tell: compare(side, truth, places, tell))

    def open_file(self, path: str) -> None:
        """Read a COCO file, and offer its images of the right size as the truth."""

        def read(tell: Any) -> tuple[str, CocoDataset]:
            from napari_sartorius.io.coco import read_coco

            return Path(path).name, read_coco(path)

        self._say(f"Reading {Path(path).name} …")
        self._reading.run(read)

    def stop(self) -> None:
        """Stop following the viewer; the tab is going away."""
        self._work.abandon()
        self._reading.abandon()
        self._watch([])
        self.panel.stop()
        self.found.stop()
        self.truth.stop()

    def _sides(self, found: Labels | None) -> tuple[Any, list[tuple[Plane, Plane]]]:
        """Return the true side and which slices belong together; raises `UserError`."""
        if found is None:
            raise UserError(_EMPTY)
        if self.truth.is_file:
            return self._file_side(found)
        truth = self.truth.layer
        if truth is None:
            raise UserError(_EMPTY)
        if found is truth and self.found.count() == 1:
            raise UserError(
                f"{found.name} is the only labels layer: add one with the true cells, or choose "
                "a COCO file under Truth."
            )
        every = bool(self.slices.currentData()) and is_stack(found)
        return LayerSide.of(truth), planes_of_both(self._viewer, found, truth, every)

    def _file_side(self, found: Labels) -> tuple[Any, list[tuple[Plane, Plane]]]:
        places = planes_of_one(self._viewer, found)
        if self._dataset is not None and is_stack(found):
            # The slider may stand at another image of the file than when it was chosen.
            name, dataset = self._dataset
            images, likely = candidates(dataset, name, self._viewer, found, places[0][0])
            if likely is not None and likely is not self.truth.image:
                self.truth.show_images(images, likely)
        image = self.truth.image
        if image is None or self._dataset is None:
            raise UserError("Choose under Truth which image of the file this is.")
        return FileSide(title_of(image), self._dataset[1].instances[image.id]), places

    def _on_choice(self) -> None:
        set_row_visible(
            self._form, self.slices, is_stack(self.found.layer) and not self.truth.is_file
        )
        self.compare_button.setEnabled(self.found.layer is not None)
        if self._work.is_running:
            return
        if self.found.layer is None:
            self._say(_EMPTY)
        elif self.panel.compared is None:
            self._say(_WELCOME)
        else:
            self._say(f"Below is {self._shown}; Compare shows what is chosen now.")

    def _on_found(self, layer: Labels | None) -> None:
        self._on_choice()
        if self.truth.is_file and self._dataset is not None:
            self._on_file(self._dataset)

    def _on_file(self, read: tuple[str, CocoDataset]) -> None:
        """Offer the images of a file that was read."""
        self._dataset = read
        name, dataset = read
        layer = self.found.layer
        if layer is None:
            self._on_failed(_EMPTY)
            return
        try:
            ((plane, _),) = planes_of_one(self._viewer, layer)
            images, chosen = candidates(dataset, name, self._viewer, layer, plane)
        except UserError as error:
            self.truth.show_layers()
            self._on_failed(str(error))
            return
        self.truth.show_images(images, chosen)
        if chosen is None:
            self._say(
                f"{len(images):,} images of {name} have this size: choose the one that it is.",
                Tone.WARNING,
            )
        else:
            cells = plural(len(dataset.instances[chosen.id]), "cell")
            self._say(f"{name}: {title_of(chosen)}, {cells}.")

    def _on_compared(self, compared: Compared) -> None:
        self._show_running(False)
        self._shown = self._names
        self._say(left_out(compared))
        self._watch(self._pending)
        self.panel.show_compared(compared, self._pending)

    def _on_failed(self, sentence: str) -> None:
        self._show_running(False)
        self._say(sentence, Tone.WARNING)

    def _show_running(self, running: bool) -> None:
        self.compare_button.setText("Stop" if running else "Compare")

    def _watch(self, layers: list[Labels]) -> None:
        """Listen to strokes on the layers that were compared."""
        for layer in self._watched:
            layer.events.paint.disconnect(self._on_edited)
            layer.events.data.disconnect(self._on_edited)
        self._watched = list(layers)
        for layer in self._watched:
            layer.events.paint.connect(self._on_edited)
            layer.events.data.connect(self._on_edited)

    def _on_edited(self, event: object = None) -> None:
        if self.panel.compared is not None:
            self._say(_STALE, Tone.WARNING)

    def _say(self, text: str, tone: Tone = Tone.QUIET) -> None:
        set_role(self.status, tone.value)
        self.status.setText(text)
        self.status.setVisible(bool(text))
