"""The open project and the one of its images that the viewer shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.project import create_project, open_project
from napari_sartorius.io.project.adding import tell_nobody
from napari_sartorius.io.project.layers import file_labels, file_layers
from napari_sartorius.io.project.recent import remember_project
from napari_sartorius.ui.late_overlays import make_overlays_late
from napari_sartorius.ui.project.recorder import LayerRecorder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sartorius.io.project import Project, Status
    from napari_sartorius.io.project.adding import Tell
    from napari_sartorius.io.project.imported import Imported

_SAVE_EVERY_MS = 60_000


class ProjectSession(QObject):
    """Opens a project, shows its images one at a time, and keeps it saved.

    Parameters
    ----------
    viewer : ViewerModel
        Where images are shown; layers that are not the project's stay as they are.
    """

    listed = Signal()
    """Another project, or other images in it."""
    shown = Signal()
    """Another image is in the viewer."""
    progressed = Signal()
    """Something was recorded or saved, or a status has changed."""
    failed = Signal(str)
    """One sentence for the user."""

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.project: Project | None = None
        self.current: str | None = None
        self.recorder: LayerRecorder | None = None
        self._layers: list[Layer] = []
        self._saving = QTimer(self)
        self._saving.setInterval(_SAVE_EVERY_MS)
        self._saving.timeout.connect(self.save)

    @property
    def files(self) -> list[str]:
        """Image files of the project, in order, by their names in it."""
        images = self.project.images if self.project is not None else []
        return list(dict.fromkeys(image.file_name for image in images))

    @property
    def labels(self) -> Labels | None:
        """The labels layer of the shown image."""
        return self.recorder.layer if self.recorder is not None else None

    def create(self, folder: str | Path, categories: Sequence[str] = ("cell",)) -> None:
        """Make a project and open it in place of the present one; errors as `create_project`."""
        project = create_project(folder, categories)
        self._take(project)

    def open(self, folder: str | Path) -> None:
        """Open a project in place of the present one; errors as `open_project`."""
        project = open_project(folder)
        self._take(project)
        if self.files:
            self.show(self.files[0])

    def close(self) -> None:
        """Save and close; the layers of the shown image go, too."""
        self._saving.stop()
        self._put_away()
        project, self.project = self.project, None
        if project is not None:
            project.close()
            self.listed.emit()

    def add_files(
        self, paths: Sequence[str | Path], *, copy: bool = False, tell: Tell = tell_nobody
    ) -> int:
        """Add image files, show the first of them if none is shown; returns how many planes came.

        Errors and `tell` as `Project.add_files`.
        """
        if self.project is None:
            return 0
        added = self.project.add_files(paths, copy=copy, tell=tell)
        self.list_added([image.file_name for image in added])
        return len(added)

    def list_added(self, files: Sequence[str]) -> None:
        """Tell that image files were added; the first of them is shown if none is."""
        self.listed.emit()
        if files and self.current is None:
            self.show(files[0])

    def owns(self, layer: Layer) -> bool:
        """Whether a layer shows the project's present image or its cells."""
        return any(layer is one for one in self._layers)

    def import_annotations(self, sources: Sequence[str | Path]) -> Imported:
        """Add what other programs wrote to the images of the project, one undo step in the viewer.

        Errors as `import_sources`; sources before the one that failed are in the project then.
        """
        from napari_sartorius.io.project.imported import Imported, import_sources

        project = self.project
        if project is None or (self.recorder is not None and not self.recorder.flush()):
            return Imported()
        try:
            return import_sources(project, sources)
        finally:
            self.refresh_labels()
            self.save()
            self.progressed.emit()

    def show(self, file_name: str) -> None:
        """Put an image and its objects into the viewer in place of the present ones.

        Raises
        ------
        UserError
            When it cannot be read; the present one then stays.
        """
        project = self.project
        if project is None or file_name == self.current:
            return
        data = file_layers(project, file_name)
        self._put_away()
        self._layers = [
            self._viewer.add_layer(make_overlays_late(Layer.create(*one))) for one in data
        ]
        labels = self._layers[-1]
        self.current = file_name
        self.recorder = LayerRecorder(labels, project, project.planes_of(file_name), self)
        self.recorder.recorded.connect(self._on_recorded)
        self.recorder.failed.connect(self.failed)
        if project.read_only is not None:
            labels.editable = False
        labels.selected_label = project.next_label(file_name)
        self._viewer.layers.selection.active = labels
        self._viewer.reset_view()
        self.shown.emit()

    def step(self, by: int) -> None:
        """Show the next (1) or the previous (-1) image; does nothing at the ends."""
        files = self.files
        if self.current in files and 0 <= files.index(self.current) + by < len(files):
            self.show(files[files.index(self.current) + by])

    def set_status(self, file_name: str, status: Status) -> None:
        """Note how far the work on an image file is."""
        if self.project is None:
            return
        for image in self.project.planes_of(file_name):
            self.project.set_status(image.id, status)
        self.progressed.emit()

    def remove(self, file_name: str) -> None:
        """Move an image and its objects to the project's trash; errors as `remove_image`."""
        project = self.project
        if project is None:
            return
        files = self.files
        if file_name == self.current:
            self._put_away()
        for image in project.planes_of(file_name):
            project.remove_image(image.id)
        self.listed.emit()
        place = min(files.index(file_name), len(files) - 2)
        if self.current is None and place >= 0:
            self.show(self.files[place])

    def count_done(self) -> int:
        """Number of image files on which the work is done."""
        project = self.project
        images = project.images if project is not None else []
        return len({i.file_name for i in images if project and project.status(i) == "done"})

    def status(self, file_name: str) -> Status:
        """How far the work on an image file is."""
        assert self.project is not None
        return self.project.status(self.project.planes_of(file_name)[0])

    def save(self) -> bool:
        """Write what is not saved; returns whether it is safe now, and says what went wrong."""
        if self.recorder is not None and not self.recorder.flush():
            return False
        project = self.project
        if project is None or project.read_only is not None or not project.unsaved:
            return True
        try:
            project.save()
        except UserError as error:
            self.failed.emit(str(error))
            return False
        self.progressed.emit()
        return True

    def refresh_labels(self) -> None:
        """Show what the project holds where it changed behind the layer's back: one undo step."""
        project, layer = self.project, self.labels
        if project is None or layer is None or self.current is None:
            return
        import numpy as np
        import pandas as pd

        labels, features = file_labels(project, self.current)
        data = labels.reshape(layer.data.shape)
        places = np.nonzero(np.asarray(layer.data) != data)
        if len(places[0]):
            with layer.block_history():
                layer.data_setitem(places, data[places])
        layer.features = pd.DataFrame(features)

    def _take(self, project: Project) -> None:
        self.close()
        self.project = project
        remember_project(project.folder)
        self._saving.start()
        self.listed.emit()

    def _put_away(self) -> None:
        """Save the shown image and take its layers out of the viewer."""
        if self.recorder is not None:
            self.recorder.stop()
            self.recorder.deleteLater()
            self.recorder = None
            self.save()
        if self.project is not None and self.current is not None:
            for image in self.project.planes_of(self.current):
                self.project.release(image.id)
        self.current = None
        for layer in self._layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._layers = []

    def _on_recorded(self) -> None:
        if self.current is not None and self.status(self.current) in ("new", "segmented"):
            self.set_status(self.current, "in review")
        self.progressed.emit()
