"""The menu of the button that imports cells which other programs wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMenu

from napari_sartorius.ui.project import questions

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget


class ImportMenu(QMenu):
    """Asks for files or a folder.

    Parameters
    ----------
    take : callable
        Called with the paths; none when the user thought better of it.
    parent : QWidget
        In whose window the question appears.
    """

    def __init__(self, take: Callable[[list[str]], None], parent: QWidget) -> None:
        super().__init__(parent)
        for title, ask in (
            ("Files …", questions.annotations),
            ("Folder …", questions.annotations_folder),
        ):
            action = self.addAction(title)
            action.triggered.connect(lambda _=False, ask=ask: take(ask(parent)))
