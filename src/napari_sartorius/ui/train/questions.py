"""What the Train tab asks before something is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMessageBox

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


def may_cancel(parent: QWidget, spent: str, has_checkpoint: bool) -> bool:
    """Ask whether a run may end that has gone on for some time."""
    later = (
        "The run's folder stays, and the run can be continued from its last checkpoint."
        if has_checkpoint
        else "There is no checkpoint yet to continue from."
    )
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Cancel training?")
    box.setText(f"Cancel after {spent} of training?")
    box.setInformativeText(f"Nothing is added to the models. {later}")
    cancel = box.addButton("Cancel the training", QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton("Keep training", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    box.exec()
    return box.clickedButton() is cancel


def may_discard(parent: QWidget, name: str) -> bool:
    """Ask whether an unfinished run may go to the trash."""
    answer = QMessageBox.question(
        parent,
        "Discard run",
        f"Discard the unfinished run {name}? Its folder goes to the folder “trash”.",
    )
    return bool(answer == QMessageBox.StandardButton.Yes)
