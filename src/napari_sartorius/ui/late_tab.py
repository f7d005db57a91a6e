"""A tab that is imported and built when it is first shown, so that it costs nothing before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QShowEvent


class LateTab(QWidget):
    """Holds the place of a tab.

    Parameters
    ----------
    make : callable
        Makes what is inside; called once.
    on_show : callable, optional
        Called with what is inside each time that it is shown.
    """

    def __init__(
        self,
        make: Callable[[], QWidget],
        on_show: Callable[[QWidget], None] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._make = make
        self._on_show = on_show
        self._content: QWidget | None = None

    @property
    def is_made(self) -> bool:
        """Whether what is inside was made already."""
        return self._content is not None

    @property
    def content(self) -> QWidget:
        """What is inside."""
        if self._content is None:
            self._content = self._make()
            layout = QVBoxLayout(self)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(self._content)
        return self._content

    def showEvent(self, event: QShowEvent | None) -> None:
        """Build what is inside."""
        super().showEvent(event)
        content = self.content
        if self._on_show is not None:
            self._on_show(content)
