"""The Models tab: which models there are, and getting, sharing, renaming and deleting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QSplitter, QVBoxLayout, QWidget

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.engine.model_jobs import AddedModel, DownloadModelJob, ExportModelJob
from napari_sartorius.ui import model_dialogs
from napari_sartorius.ui.combine_dialog import CombineDialog
from napari_sartorius.ui.forms import button, rule
from napari_sartorius.ui.import_dialog import ImportDialog
from napari_sartorius.ui.job_panel import JobPanel
from napari_sartorius.ui.model_facts import ModelFacts
from napari_sartorius.ui.model_list import ModelList
from napari_sartorius.ui.model_rows import ModelRow, model_rows
from napari_sartorius.ui.run_panel import Tone
from napari_sartorius.ui.tooltips import tooltip
from napari_sartorius.zoo.licences import accept_licence, needs_acceptance
from napari_sartorius.zoo.manage import remove_bundle, rename_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.ui.job_bridge import JobBridge


class ModelsTab(QWidget):
    """A list, the card of the chosen model, and what can be done with it.

    Parameters
    ----------
    bridge : JobBridge
        Who runs what takes long.
    """

    models_changed = Signal()
    """The models on this computer are others now."""
    use_asked = Signal(str)
    """The user wants to segment with the model of this name."""

    def __init__(self, bridge: JobBridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._if_stopped = ""
        self.list = ModelList()
        self.facts = ModelFacts()
        self.main_button = button("Use", "primary", "model_use")
        self.main_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.rename_button = button("Rename …", "plain", "model_rename")
        self.export_button = button("Export …", "plain", "model_export")
        self.delete_button = button("Delete …", "plain", "model_delete")
        self.import_button = button("Import a file …", "plain", "model_import")
        self.combine_button = button("Combine …", "plain", "model_combine")
        self.panel = JobPanel()
        self._build()
        self._connect()
        self.refresh()

    def refresh(self, choose: str | None = None) -> None:
        """Read the models again and choose the one of this name, or keep the choice."""
        self.list.set_rows(model_rows(), choose)

    def stop(self) -> None:
        """End a job; the tab is going away."""
        self._bridge.close()

    def _build(self) -> None:
        self._changes = QWidget()
        changes = QHBoxLayout(self._changes)
        changes.setContentsMargins(0, 0, 0, 0)
        changes.setSpacing(6)
        for push in (self.rename_button, self.export_button, self.delete_button):
            push.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            changes.addWidget(push, 1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.list)
        split.addWidget(self.facts)
        split.setChildrenCollapsible(False)
        for position, share in enumerate((5, 4)):
            split.setStretchFactor(position, share)
        split.setSizes([500, 400])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        layout.addWidget(split, 1)
        adding = QHBoxLayout()
        adding.setSpacing(6)
        for push in (self.import_button, self.combine_button):
            push.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            adding.addWidget(push, 1)
        for widget in (self.main_button, self._changes, rule()):
            layout.addWidget(widget)
        layout.addLayout(adding)
        layout.addWidget(self.panel)

    def _connect(self) -> None:
        self.list.chosen.connect(self._on_chosen)
        self.list.view.itemDoubleClicked.connect(self._on_double_click)
        self.main_button.clicked.connect(self._on_main)
        self.rename_button.clicked.connect(self._on_rename)
        self.export_button.clicked.connect(self._on_export)
        self.delete_button.clicked.connect(self._on_delete)
        self.import_button.clicked.connect(self._on_import)
        self.combine_button.clicked.connect(self._on_combine)
        self.panel.cancel_clicked.connect(self._on_cancel)
        self._bridge.progressed.connect(self.panel.show_progress)
        self._bridge.noticed.connect(lambda text: self.panel.say(text, Tone.WARNING))
        self._bridge.finished.connect(self._on_finished)
        self._bridge.failed.connect(self._on_failed)
        self._bridge.cancelled.connect(self._on_cancelled)

    # What can be done with the chosen model. ----------------------------------------------------

    def _on_chosen(self, row: ModelRow | None) -> None:
        self.facts.show_row(row)
        can_download = row is not None and row.entry is not None
        busy = self._bridge.is_running
        self.main_button.setText("Download" if can_download else "Use for segmenting")
        usable = row is not None and row.why_not is None
        self.main_button.setEnabled(usable and not (can_download and busy))
        self._changes.setVisible(row is not None and not can_download)
        self.rename_button.setEnabled(row is not None and row.can_change and row.is_here)
        self.delete_button.setEnabled(row is not None and row.can_change)
        fixed = row is not None and row.is_here and not row.can_change
        for push, hint in (
            (self.rename_button, "model_rename"),
            (self.delete_button, "model_delete"),
        ):
            push.setToolTip(tooltip("model_ships" if fixed else hint))
        self.main_button.setToolTip(tooltip("model_download" if can_download else "model_use"))
        self.export_button.setEnabled(row is not None and row.is_here and usable and not busy)
        self.import_button.setEnabled(not busy)
        self.combine_button.setEnabled(not busy)

    def _on_double_click(self) -> None:
        row = self.list.row
        if row is not None and row.is_here and row.why_not is None:
            self.use_asked.emit(row.name)

    def _on_main(self) -> None:
        row = self.list.row
        if row is None:
            return
        if row.entry is None:
            self.use_asked.emit(row.name)
            return
        if needs_acceptance(row.entry):
            if not model_dialogs.ask_licence(self, row.entry):
                self.panel.say("Not downloaded: the licence was not accepted.")
                return
            accept_licence(row.entry)
        self._start(DownloadModelJob(row.name), f"Asking for {row.title} …")

    def _on_rename(self) -> None:
        row = self.list.row
        name = model_dialogs.ask_name(self, row) if row is not None else None
        if row is not None and name is not None:
            self._change(lambda: rename_bundle(row.name, name), f"Renamed to {name}.", name)

    def _on_delete(self) -> None:
        row = self.list.row
        if row is not None and model_dialogs.ask_delete(self, row):
            self._change(lambda: remove_bundle(row.name), f"{row.name} was deleted.")

    def _on_export(self) -> None:
        row = self.list.row
        target = model_dialogs.ask_export(self, row) if row is not None else None
        if row is not None and target is not None:
            self._start(ExportModelJob(row.name, target), f"Exporting {row.name} …")

    def _on_import(self) -> None:
        path = model_dialogs.ask_file(self)
        if path is None:
            return
        dialog = ImportDialog(path, self)
        if dialog.exec():
            self._start(dialog.job(), f"Importing {path.name} …")

    def _on_combine(self) -> None:
        row = self.list.row
        dialog = CombineDialog([one for one in model_rows() if one.can_join], self)
        if row is not None:
            dialog.tick(row.name)
        if dialog.exec():
            job = dialog.job()
            self._start(job, f"Making {job.name} …")

    def _change(self, act: Any, text: str, choose: str | None = None) -> None:
        try:
            act()
        except UserError as error:
            self._say_error(str(error))
            return
        self.panel.say(text)
        self.refresh(choose)
        self.models_changed.emit()

    # Jobs. --------------------------------------------------------------------------------------

    def _start(self, job: Any, text: str) -> None:
        self.panel.show_running(text)
        self._if_stopped = "Stopped; nothing was added."
        if isinstance(job, DownloadModelJob):
            self._if_stopped += " What has arrived is kept for the next time."
        self._bridge.run(job)
        self._on_chosen(self.list.row)

    def _on_cancel(self) -> None:
        self.panel.show_cancelling()
        self._bridge.cancel()

    def _on_finished(self, result: AddedModel | Path) -> None:
        self._over()
        if not isinstance(result, AddedModel):
            self.panel.say(f"Written: {result}")
            return
        self.refresh(result.name)
        self.panel.say(_ready(result), hint="\n".join(result.assumptions))
        self.models_changed.emit()

    def _on_failed(self, sentence: str) -> None:
        self._over()
        self._say_error(sentence)

    def _on_cancelled(self) -> None:
        self._over()
        self.panel.say(self._if_stopped)

    def _over(self) -> None:
        self.panel.show_idle()
        self._on_chosen(self.list.row)

    def _say_error(self, sentence: str) -> None:
        self.panel.say(sentence, Tone.ERROR)
        show_error(sentence)


def _ready(added: AddedModel) -> str:
    text = f"{added.name} is ready."
    if added.assumptions:
        text += f" {plural(len(added.assumptions), 'thing')} had to be assumed: point here to read."
    return text
