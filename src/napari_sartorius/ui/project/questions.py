"""What the Project tab asks: which files, which folder, whether to go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox

from napari_sartorius.io.images import IMAGE_SUFFIXES
from napari_sartorius.io.project.recent import recent_projects

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

_ANNOTATIONS = "Annotations (*.json *.geojson *.zip *.csv *.tif *.tiff *.png)"


def new_project(parent: QWidget) -> str:
    """Ask for the folder of a new project; empty when the user thinks better of it, as in all."""
    return str(QFileDialog.getSaveFileName(parent, "Folder of the new project", "project")[0])


def old_project(parent: QWidget) -> str:
    """Ask for the folder of a project."""
    return str(QFileDialog.getExistingDirectory(parent, "Folder of the project"))


def images(parent: QWidget) -> list[str]:
    """Ask for image files."""
    kinds = " ".join(f"*{suffix}" for suffix in IMAGE_SUFFIXES)
    return list(QFileDialog.getOpenFileNames(parent, "Images", "", f"Images ({kinds})")[0])


def images_folder(parent: QWidget) -> str:
    """Ask for a folder of images."""
    return str(QFileDialog.getExistingDirectory(parent, "Folder of images"))


def annotations(parent: QWidget) -> list[str]:
    """Ask for files with cells of other programs."""
    return list(QFileDialog.getOpenFileNames(parent, "Cells", "", _ANNOTATIONS)[0])


def annotations_folder(parent: QWidget) -> list[str]:
    """Ask for a folder with cells of other programs."""
    title = "Folder of masks, project or OME-Zarr"
    folder = QFileDialog.getExistingDirectory(parent, title)
    return [str(folder)] if folder else []


def missing_image(parent: QWidget, name: str) -> str:
    """Ask where an image file is now."""
    return str(QFileDialog.getOpenFileName(parent, f"Where is {Path(name).name}?", "")[0])


def may_remove(parent: QWidget, name: str) -> bool:
    """Ask whether an image may go to the trash."""
    answer = QMessageBox.question(
        parent,
        "Remove image",
        f"Remove {Path(name).name} and its cells from the project? They go to the project's "
        "folder “trash”.",
    )
    return bool(answer == QMessageBox.StandardButton.Yes)


def may_delete(parent: QWidget, folder: Path) -> bool:
    """Ask whether the open project may go to the trash."""
    answer = QMessageBox.question(
        parent,
        "Delete project",
        f"Delete the project {folder.name} with all its cells and copied images? Its folder goes "
        f"to {folder.parent / 'trash'}.",
    )
    return bool(answer == QMessageBox.StandardButton.Yes)


class RecentMenu(QMenu):
    """The projects that were open last, looked up each time that it opens.

    Parameters
    ----------
    open_project : callable
        Called with a folder.
    delete_project : callable
        Called when the open project is to go to the trash.
    is_open : callable
        Whether there is an open project that can be changed.
    """

    def __init__(
        self,
        open_project: Callable[[Path], None],
        delete_project: Callable[[], None],
        is_open: Callable[[], bool],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._open = open_project
        self._delete = delete_project
        self._is_open = is_open
        self.aboutToShow.connect(self._fill)

    def _fill(self) -> None:
        self.clear()
        for folder in recent_projects():
            self.addAction(str(folder)).triggered.connect(lambda _=False, f=folder: self._open(f))
        if self.isEmpty():
            self.addAction("no project yet").setEnabled(False)
        if self._is_open():
            self.addSeparator()
            self.addAction("Delete this project …").triggered.connect(
                lambda _=False: self._delete()
            )
