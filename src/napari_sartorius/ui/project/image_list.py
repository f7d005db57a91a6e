"""The list of a project's images: how many cells each has and how far the work on it is."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from napari_sartorius.core.wording import plural
from napari_sartorius.ui.style import set_role

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.ui.project.session import ProjectSession

_COLOURS = {"new": "#8a9099", "segmented": "#4c9be8", "in review": "#f0a830", "done": "#4caf6e"}
_NAME, _CELLS, _DOUBT, _STATUS = range(4)
_WARNING = "#f0a830"


class ImageList(QTreeWidget):
    """One row per image file; a click shows the image.

    Parameters
    ----------
    session : ProjectSession
        Whose images are listed.
    doubtful : callable
        Returns how many doubtful cells of an image file nobody has looked at.
    """

    chosen = Signal(str)
    """Emitted with the file name of an image that the user wants to see."""

    def __init__(
        self,
        session: ProjectSession,
        doubtful: Callable[[str], int],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._doubtful = doubtful
        self._rows: dict[str, QTreeWidgetItem] = {}
        set_role(self, "images")
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setHeaderLabels(["Image", "Cells", "Doubt", "Status"])
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column in (_CELLS, _DOUBT, _STATUS):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.currentItemChanged.connect(self._on_current)

    def fill(self) -> None:
        """List the project's images anew."""
        with QSignalBlocker(self):
            self.clear()
            self._rows = {}
            project = self._session.project
            missing = set(project.missing_files()) if project is not None else set()
            for name in self._session.files:
                row = QTreeWidgetItem([PurePosixPath(name).name, "", "", ""])
                row.setData(_NAME, Qt.ItemDataRole.UserRole, name)
                row.setToolTip(_NAME, name)
                row.setTextAlignment(_CELLS, Qt.AlignmentFlag.AlignRight)
                row.setTextAlignment(_DOUBT, Qt.AlignmentFlag.AlignRight)
                row.setForeground(_DOUBT, QBrush(QColor(_WARNING)))
                if name in missing:
                    row.setText(_NAME, f"⚠ {row.text(_NAME)}")
                    row.setToolTip(_NAME, f"{name} is not where it was")
                self.addTopLevelItem(row)
                self._rows[name] = row
        for name in self._rows:
            self.refresh(name)
        self.show_current()

    def refresh(self, name: str) -> int:
        """Show the present figures of an image; returns how many cells it has."""
        project, row = self._session.project, self._rows.get(name)
        if project is None or row is None:
            return 0
        images = project.planes_of(name)
        status = project.status(images[0])
        cells = sum(project.object_count(image.id) for image in images)
        row.setText(_CELLS, f"{cells:,}")
        count = self._doubtful(name)
        row.setText(_DOUBT, f"⚠ {count:,}" if count else "")
        row.setToolTip(
            _DOUBT, f"{plural(count, 'doubtful cell')} nobody has looked at" if count else ""
        )
        row.setText(_STATUS, f"● {status}")
        row.setForeground(_STATUS, QBrush(QColor(_COLOURS[status])))
        return cells

    def show_current(self) -> None:
        """Mark the image that the viewer shows."""
        with QSignalBlocker(self):
            self.setCurrentItem(self._rows.get(self._session.current or ""))

    def _on_current(self, row: QTreeWidgetItem | None, _: object = None) -> None:
        if row is not None:
            self.chosen.emit(str(row.data(_NAME, Qt.ItemDataRole.UserRole)))
