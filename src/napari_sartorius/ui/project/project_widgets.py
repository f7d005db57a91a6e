"""The buttons and texts of the Project tab, and where they stand; what they do is in the tab."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_sartorius.ui.forms import button, heading, quiet, rule
from napari_sartorius.ui.run_panel import Tone
from napari_sartorius.ui.style import set_role


class ProjectWidgets(QWidget):
    """What the tab shows.

    Attributes
    ----------
    content : QWidget
        All that is there while a project is open.
    message : QLabel
        What was done, or what went wrong.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = heading("Project")
        self.where = quiet()
        self.new_button = button("New …", "plain", "project_new")
        self.open_button = button("Open …", "plain", "project_open")
        self.recent_button = button("Recent", "plain", "project_recent")
        self.content = QWidget()
        self.add_button = button("Add images", "plain", "project_add")
        self.remove_button = button("Remove", "plain", "project_remove")
        self.import_button = button("Import cells", "plain", "project_import")
        self.export_button = button("Export …", "plain", "project_export")
        self.back_button = button("Previous", "plain", "project_previous")
        self.next_button = button("Next", "plain", "project_next")
        self.done_button = button("Done, next image", "primary", "project_done")
        self.saved = quiet()
        self.message = quiet()

    def lay_out(self, images: QWidget, walking: QWidget) -> None:
        """Put everything in its place, with the list of images and what segments them."""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        layout.addWidget(self.title)
        layout.addWidget(self.where)
        layout.addLayout(_row(self.new_button, self.open_button, self.recent_button))
        column = QVBoxLayout(self.content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(rule())
        column.addWidget(images, 1)
        column.addLayout(_row(self.add_button, self.remove_button))
        column.addLayout(_row(self.import_button, self.export_button))
        column.addLayout(_row(self.back_button, self.next_button))
        column.addWidget(self.done_button)
        column.addWidget(rule())
        column.addWidget(walking)
        column.addWidget(self.saved)
        layout.addWidget(self.content, 1)
        layout.addWidget(self.message)
        layout.addStretch(0)
        self.message.hide()

    def _say(self, text: str, tone: Tone = Tone.QUIET) -> None:
        set_role(self.message, tone.value)
        self.message.setText(text)
        self.message.setVisible(bool(text))


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(6)
    for widget in widgets:
        row.addWidget(widget, 1)
    return row
