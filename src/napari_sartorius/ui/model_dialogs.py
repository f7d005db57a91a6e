"""The questions that the Models tab asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QMessageBox, QWidget

from napari_sartorius.ui.model_rows import link

if TYPE_CHECKING:
    from napari_sartorius.ui.model_rows import ModelRow
    from napari_sartorius.zoo.published import PublishedModel

FILES = "Models (*.zip *.pth *.pkl *.pt);;All files (*)"


def licence_box(parent: QWidget | None, entry: PublishedModel) -> QMessageBox:
    """Build the question whether a licence is accepted; "I accept" is its first button."""
    licence = entry.licence
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Information)
    box.setWindowTitle("Licence")
    box.setTextFormat(Qt.TextFormat.RichText)
    box.setText(
        f"<b>{entry.title}</b> is published by {entry.publisher} under "
        f"{link(licence.url, licence.name)}: {licence.summary}."
    )
    box.setInformativeText(
        f"If you accept these terms, you will not be asked again for models of {entry.publisher}."
    )
    accept = box.addButton("I accept", QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(cancel)
    box.setEscapeButton(cancel)
    box.setProperty("accept", accept)
    return box


def ask_licence(parent: QWidget, entry: PublishedModel) -> bool:
    """Whether the person accepts the licence."""
    box = licence_box(parent, entry)
    box.exec()
    return box.clickedButton() is box.property("accept")


def ask_delete(parent: QWidget, row: ModelRow) -> bool:
    """Whether to delete a model."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Delete the model?")
    box.setText(f"Delete the model {row.name} from this computer?")
    box.setInformativeText("Its weights are gone then, unless you have exported it.")
    delete = box.addButton("Delete", QMessageBox.ButtonRole.DestructiveRole)
    keep = box.addButton("Keep", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.exec()
    return box.clickedButton() is delete


def ask_name(parent: QWidget, row: ModelRow) -> str | None:
    """Another name for a model; None when it shall keep its own."""
    text, ok = QInputDialog.getText(
        parent, "Rename", f"New name of {row.name}:", QLineEdit.EchoMode.Normal, row.name
    )
    text = text.strip()
    return text if ok and text and text != row.name else None


def ask_export(parent: QWidget, row: ModelRow) -> Path | None:
    """Where to write a model; Qt asks before it replaces a file."""
    start = str(Path.home() / f"{row.name}.zip")
    path, _ = QFileDialog.getSaveFileName(parent, "Export as one zip", start, "Zip (*.zip)")
    if not path:
        return None
    return Path(path if path.lower().endswith(".zip") else f"{path}.zip")


def ask_file(parent: QWidget) -> Path | None:
    """Which file to import."""
    path, _ = QFileDialog.getOpenFileName(parent, "Import a model", "", FILES)
    return Path(path) if path else None
