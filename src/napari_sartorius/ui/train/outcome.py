"""What came of a run: before and after, in figures and pictures, and what to do now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_sartorius.core.wording import plural
from napari_sartorius.training.picture_names import BEFORE, BEST
from napari_sartorius.training.run_files import PICTURES_FOLDER
from napari_sartorius.ui.forms import button, quiet
from napari_sartorius.ui.run_panel import Tone
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.train.figure_grid import FigureGrid
from napari_sartorius.ui.train.sample_pictures import SamplePictures

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.engine.trained_model import TrainedModel


class Outcome(QWidget):
    """Sentence, table, buttons, pictures."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self.sentence = quiet(role="body")
        self.table = FigureGrid(12)
        self.use_button = button("Use this model now", "primary", "train_use")
        self.use_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.folder_button = button("Show folder", "plain", "train_show_folder")
        self.back_button = button("Train another", "plain", "train_back")
        self.pictures = SamplePictures((BEFORE, BEST), "Before and after")
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.back_button, 1)
        row.addWidget(self.folder_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for widget in (self.sentence, self.table, self.use_button):
            layout.addWidget(widget)
        layout.addLayout(row)
        layout.addWidget(self.pictures)
        self.folder_button.clicked.connect(self._on_folder)
        self.hide()

    def show_result(self, result: TrainedModel, folder: Path) -> None:
        """Show what a run has brought."""
        self._folder = folder
        set_role(self.sentence, "body" if result.name is not None else Tone.WARNING.value)
        self.sentence.setText(_sentence(result))
        self.sentence.show()
        self._fill(result)
        self.table.show()
        self.use_button.setVisible(result.name is not None)
        self.pictures.name_first("Before" if result.before is not None else "At first")
        self.pictures.watch(folder / PICTURES_FOLDER)
        self.show()

    def show_nothing(self, folder: Path | None) -> None:
        """Offer the folder and the way back only."""
        self._folder = folder
        for widget in (self.sentence, self.table, self.use_button, self.pictures):
            widget.hide()
        self.show()

    def _fill(self, result: TrainedModel) -> None:
        self.table.clear()
        for column, title in enumerate(("Score", "before", "after")):
            self.table.put(0, column, title, muted=True)
        rows = [(one.name, one.before, one.after) for one in result.categories]
        if len(rows) != 1:
            rows.append(("all", result.before, result.after))
        for place, (name, before, after) in enumerate(rows, start=1):
            self.table.put(place, 0, name)
            self.table.put(place, 1, _figure(before))
            self.table.put(place, 2, _figure(after))
            self.table.put(place, 3, _change(before, after), muted=True)

    def _on_folder(self) -> None:
        if self._folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder)))


def _sentence(result: TrainedModel) -> str:
    if result.name is None:
        return (
            f"After {plural(result.steps, 'step')} it was no better than before (score "
            f"{result.after:.3f}), so nothing was added. More corrected images help most."
        )
    if result.before is None:
        return f"{result.name} is in the list of models (score {result.after:.3f})."
    return (
        f"{result.name} is in the list of models: score {result.before:.3f} before, "
        f"{result.after:.3f} now, on cells that it was not trained on."
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"  # noqa: RUF001


def _change(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else f"{after - before:+.3f}"
