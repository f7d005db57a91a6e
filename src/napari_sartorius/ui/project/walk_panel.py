"""The buttons that segment images of a project, and how far that is."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from napari.utils.notifications import show_warning
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from napari_sartorius.ui.forms import button, quiet

if TYPE_CHECKING:
    from napari_sartorius.ui.project.segment_all import SegmentAll


class WalkPanel(QWidget):
    """Shows a walk over the images of a project.

    Parameters
    ----------
    walk : SegmentAll
        The walk; it is cancelled here.
    """

    def __init__(self, walk: SegmentAll, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.segment_button = button("Segment new images", "plain", "project_segment")
        self.again_button = button("This one again", "plain", "project_again")
        self.cancel_button = button("Cancel", "plain", "cancel")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setRange(0, 1000)
        self.stage = quiet()
        self.notices = quiet(role="warning")
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.segment_button, 1)
        row.addWidget(self.again_button, 1)
        row.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        layout.addWidget(self.stage)
        layout.addWidget(self.notices)
        self._show_running(False)
        self._on_notices([])
        self.cancel_button.clicked.connect(walk.cancel)
        walk.progressed.connect(self._on_progress)
        walk.noticed.connect(self._on_notices)
        walk.ended.connect(self._on_ended)

    def set_ready(self, any_image: bool, shown_image: bool) -> None:
        """Enable the button for all new images, and that for the one that is shown."""
        self.segment_button.setEnabled(any_image)
        self.again_button.setEnabled(shown_image)

    def _on_progress(self, name: str, past: int, total: int, fraction: float) -> None:
        self.bar.setValue(round(1000 * (past + fraction) / max(total, 1)))
        self.stage.setText(f"Segmenting {PurePosixPath(name).name} · {past + 1} of {total}")
        self._show_running(True)
        self.set_ready(False, False)

    def _on_notices(self, sentences: list[str]) -> None:
        """Show what must be known of the images; it stays until the next walk."""
        self.notices.setText(" ".join(sentences))
        self.notices.setVisible(bool(sentences))

    def _on_ended(self, sentence: str) -> None:
        self._show_running(False)
        if self.notices.text():  # also for whoever looks at another tab by now
            show_warning(self.notices.text())

    def _show_running(self, running: bool) -> None:
        for one in (self.bar, self.stage, self.cancel_button):
            one.setVisible(running)
        self.again_button.setVisible(not running)
