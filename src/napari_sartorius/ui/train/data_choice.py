"""What a model learns from: the open project, layers of the viewer, a folder or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from napari_sartorius.core.wording import agree, plural
from napari_sartorius.ui.choice import Choice
from napari_sartorius.ui.forms import button, quiet
from napari_sartorius.ui.train.layer_pairs import LayerPairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_sartorius.io.project import Project
    from napari_sartorius.ui.train.layer_pairs import Pair

PROJECT, LAYERS, FILES = "project", "layers", "files"
_FILES = "Annotations (*.json *.csv)"


class DataChoice(QWidget):
    """A menu of the three, what belongs to the chosen one, and a sentence on what is in it.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers are offered.
    project : callable
        Gives the open project or None.
    """

    changed = Signal()
    """Something else is learnt from now."""

    def __init__(
        self,
        viewer: ViewerModel,
        project: Callable[[], Project | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._project = project
        self._path: Path | None = None
        self._decided = False
        self.kind = Choice()
        for title, kind in (
            ("Open project", PROJECT),
            ("Layers of the viewer", LAYERS),
            ("Folder or file", FILES),
        ):
            self.kind.addItem(title, kind)
        self.pairs = LayerPairs(viewer)
        self.file_button = button("File …", "plain", "train_file")
        self.folder_button = button("Folder …", "plain", "train_folder")
        self._buttons = QWidget()
        row = QHBoxLayout(self._buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.folder_button, 1)
        row.addWidget(self.file_button, 1)
        self.sentence = quiet()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        for widget in (self.pairs, self._buttons, self.sentence):
            layout.addWidget(widget)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.pairs.changed.connect(self._on_change)
        self.folder_button.clicked.connect(lambda: self.take(_ask_folder(self)))
        self.file_button.clicked.connect(lambda: self.take(_ask_file(self)))
        self.refresh()

    @property
    def chosen(self) -> str:
        """``project``, ``layers`` or ``files``."""
        return str(self.kind.currentData())

    @property
    def path(self) -> Path | None:
        """Where the annotated images are; None for layers, and where nothing is chosen yet."""
        if self.chosen == PROJECT:
            project = self._project()
            return project.folder if project is not None else None
        return self._path if self.chosen == FILES else None

    @property
    def layers(self) -> list[Pair]:
        """Images and labels that are ticked, when layers are chosen."""
        return self.pairs.ticked if self.chosen == LAYERS else []

    @property
    def title(self) -> str:
        """A word for the name of the model."""
        if self.chosen == LAYERS:
            return self.layers[0].image.name if self.layers else ""
        return self.path.stem if self.path is not None else ""

    def take(self, path: str) -> None:
        """Learn from a folder or file; ignored when the user thought better of it."""
        if path:
            self._path = Path(path)
            self.kind.select_data(FILES)
            self._on_change()

    def refresh(self) -> None:
        """Say again what there is."""
        if not self._decided and self._project() is None and self.pairs.rows:
            with QSignalBlocker(self.kind):  # what is there is likelier meant than what is not
                self.kind.select_data(LAYERS)
        self.pairs.setVisible(self.chosen == LAYERS)
        self._buttons.setVisible(self.chosen == FILES)
        text = self._words()
        self.sentence.setText(text)
        self.sentence.setVisible(bool(text))
        self.setVisible(bool(text) or self.chosen != PROJECT)

    def obstacle(self) -> str | None:
        """One sentence on why nothing can be learnt from this yet, or None."""
        if self.chosen == LAYERS:
            return self.pairs.obstacle()
        if self.chosen == FILES:
            return None if self._path else "Choose a folder or file with annotated images."
        project = self._project()
        if project is None:
            return "Open a project first, in the tab Project, or choose other data."
        images, cells = done_images(project)
        if not images or not cells:
            return "Mark corrected images as done first: the model learns from those."
        return None

    def stop(self) -> None:
        """Stop following the viewer."""
        self.pairs.stop()

    def _on_kind(self) -> None:
        self._decided = True
        self._on_change()

    def _on_change(self, *_: object) -> None:
        self.refresh()
        self.changed.emit()

    def _words(self) -> str:
        if self.chosen == FILES:
            return str(self._path or "")
        if self.chosen == LAYERS:
            return ""
        project = self._project()
        if project is None:
            return ""
        images, cells = done_images(project)
        of = plural(len(project.images), "image")
        if not images:
            return f"None of {of} is done."
        are = agree(images, "is", "are")
        return f"{images:,} of {of} {are} done, with {plural(cells, 'cell')}."


def done_images(project: Project) -> tuple[int, int]:
    """Images of a project that are done, and the cells in them."""
    done = [image for image in project.images if project.status(image) == "done"]
    return len(done), sum(project.object_count(image.id) for image in done)


def _ask_folder(parent: QWidget) -> str:
    return str(QFileDialog.getExistingDirectory(parent, "Folder of annotated images"))


def _ask_file(parent: QWidget) -> str:
    return str(QFileDialog.getOpenFileName(parent, "Annotations", "", _FILES)[0])
