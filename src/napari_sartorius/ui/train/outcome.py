"""What came of a run: before and after, in figures and pictures, and what to do now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_sartorius.training.picture_names import BEFORE, BEST
from napari_sartorius.training.run_files import PICTURES_FOLDER
from napari_sartorius.ui.forms import button, quiet
from napari_sartorius.ui.run_panel import Tone
from napari_sartorius.ui.style import set_role
from napari_sartorius.ui.train.sample_pictures import SamplePictures

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.engine.train_jobs import TrainedModel

_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class Outcome(QWidget):
    """Sentence, table, buttons, pictures."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self.sentence = quiet(role="body")
        self.table = QWidget()
        self._grid = QGridLayout(self.table)
        self._grid.setContentsMargins(0, 2, 0, 2)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
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

    def cell(self, row: int, column: int) -> str:
        """Text of the table; row 0 holds titles."""
        item = self._grid.itemAtPosition(row, column)
        widget = item.widget() if item is not None else None
        return widget.text() if isinstance(widget, QLabel) else ""

    def _fill(self, result: TrainedModel) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for column, title in enumerate(("Score", "before", "after", "")):
            label = QLabel(title)
            set_role(label, "muted")
            label.setAlignment(_RIGHT if column else Qt.AlignmentFlag.AlignLeft)
            self._grid.addWidget(label, 0, column)
        rows = [(one.name, one.before, one.after) for one in result.categories]
        if len(rows) != 1:
            rows.append(("all", result.before, result.after))
        for place, (name, before, after) in enumerate(rows, start=1):
            self._grid.addWidget(QLabel(name), place, 0)
            for column, text in enumerate((_figure(before), _figure(after)), start=1):
                label = QLabel(text)
                label.setAlignment(_RIGHT)
                self._grid.addWidget(label, place, column)
            change = QLabel(_change(before, after))
            change.setAlignment(_RIGHT)
            set_role(change, "muted")
            self._grid.addWidget(change, place, 3)

    def _on_folder(self) -> None:
        if self._folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder)))


def _sentence(result: TrainedModel) -> str:
    if result.name is None:
        return (
            f"After {result.steps:,} steps it was no better than before (score "
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
