"""Writes a project's images in the forms that other programs read, while the window stays free."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.core.wording import capital, plural, sentence
from napari_sartorius.io.exporting import EXPORT_FORMATS, export_dataset
from napari_sartorius.io.project import project_dataset
from napari_sartorius.io.project.records import NAMESPACE
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import add_row, button, new_form, quiet
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QCloseEvent

_ALL, _DONE = "all", "done"
_USUAL = ("coco",)
_WIDTH = 460


class _Listener(Monitor):
    """Passes on what the thread says, and asks it to stop."""

    def __init__(self, dialog: ExportDialog) -> None:
        self._dialog = dialog
        self.is_cancelled = False
        self.notices: list[str] = []

    def progress(self, stage: str, fraction: float) -> None:
        with contextlib.suppress(RuntimeError):  # Qt has deleted the dialog meanwhile
            self._dialog.heard.emit(stage, fraction)

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def check(self) -> None:
        if self.is_cancelled:
            raise Cancelled


class ExportDialog(QDialog):
    """Choose forms, images and a folder; see the progress; cancel.

    Scripts set `checks`, `which` and `folder` and call `start`; `ended` tells that it is over.

    Parameters
    ----------
    project : Path
        The project's folder; what is not saved but journaled is exported, too.
    """

    heard = Signal(str, float)
    """Stage and share 0..1, from the thread."""
    ended = Signal(bool, str)
    """Whether all was written, and one sentence."""

    def __init__(self, project: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self._project = project
        self._thread: threading.Thread | None = None
        self._listener = _Listener(self)
        self.checks: dict[str, QCheckBox] = {}
        grid = QGridLayout()
        for n, (name, form) in enumerate(EXPORT_FORMATS.items()):
            box = QCheckBox(form.title)
            box.setChecked(name in _USUAL)
            if form.flattens:
                box.setToolTip("One cell per pixel: where cells overlap, the upper one keeps them.")
            grid.addWidget(box, n // 2, n % 2)
            self.checks[name] = box
        self.which = Choice()
        self.which.addItem("All images", _ALL)
        self.which.addItem("Images that are done", _DONE)
        self.folder = QLineEdit(str(project / "export"))
        browse = QPushButton("Browse …")
        browse.clicked.connect(self._ask_folder)
        place = QWidget()
        row = QHBoxLayout(place)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.folder, 1)
        row.addWidget(browse)
        form = new_form()
        add_row(form, "Images", self.which, "export_which")
        add_row(form, "Folder", place, "export_folder")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setRange(0, 1000)
        self.message = quiet()
        self.start_button = button("Export", "primary", "export_start")
        self.cancel_button = button("Cancel", "plain", "cancel")
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self.cancel)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.start_button)
        layout = QVBoxLayout(self)
        layout.setSpacing(8)
        layout.addLayout(grid)
        layout.addLayout(form)
        layout.addWidget(self.bar)
        layout.addWidget(self.message)
        layout.addLayout(buttons)
        self.setMinimumWidth(_WIDTH)
        self.heard.connect(self._on_heard)
        self.ended.connect(self._on_ended)

    @property
    def formats(self) -> list[str]:
        """Names of the forms that are ticked."""
        return [name for name, box in self.checks.items() if box.isChecked()]

    @property
    def is_running(self) -> bool:
        """Whether files are being written."""
        return self._thread is not None

    def start(self) -> None:
        """Write, in a thread; each file appears whole or not at all."""
        if self.is_running:
            return
        if not self.formats:
            self._say("Tick at least one form.", "warning")
            return
        self._listener = _Listener(self)
        self.start_button.setEnabled(False)
        self._say("")
        self._thread = threading.Thread(
            target=self._run,
            args=(self._listener, self.formats, self.which.currentData(), self.folder.text()),
            name="export",
            daemon=True,
        )
        self._thread.start()

    def cancel(self) -> None:
        """Stop after the file that is being written, or close when nothing is."""
        if self.is_running:
            self._listener.is_cancelled = True
        else:
            self.reject()

    def wait(self) -> None:
        """Stop, and return when nothing is being written any more."""
        self._listener.is_cancelled = True
        if self._thread is not None:
            self._thread.join()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop before going away."""
        self.wait()
        super().closeEvent(event)

    def _run(self, listener: _Listener, formats: Sequence[str], which: str, folder: str) -> None:
        done, text = False, ""
        try:
            dataset = project_dataset(self._project)
            if which == _DONE:
                dataset = dataset.select(
                    lambda image: image.extra.get(NAMESPACE, {}).get("status") == "done"
                )
            if not len(dataset):
                raise UserError("No image is done yet: mark some, or export all images.")
            written = export_dataset(dataset, Path(folder).expanduser(), formats, listener)
            done = True
            text = f"{plural(dataset.object_count, 'cell')} of {plural(len(dataset), 'image')}: "
            text += f"{plural(len(written), 'file')} in {folder}."
        except Cancelled:
            text = "Cancelled; the files that were finished stay."
        except UserError as error:
            text = str(error)
        except Exception as error:  # whatever it is, the user must see it
            text = f"The export failed ({type(error).__name__}: {error})."
        text = " ".join([text, *map(sentence, listener.notices)])
        with contextlib.suppress(RuntimeError):
            self.ended.emit(done, text)

    def _on_heard(self, stage: str, fraction: float) -> None:
        self.bar.setValue(round(1000 * fraction))
        self._say(capital(stage))

    def _on_ended(self, done: bool, text: str) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.start_button.setEnabled(True)
        warned = done and bool(self._listener.notices)
        self._say(text, "muted" if done and not warned else "warning" if warned else "error")

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder to export to", self.folder.text())
        if folder:
            self.folder.setText(folder)

    def _say(self, text: str, role: str = "muted") -> None:
        set_role(self.message, role)
        self.message.setText(text)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
