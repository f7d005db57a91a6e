"""Shows how far something is that must not be disturbed meanwhile, and lets it be cancelled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressDialog

from napari_sartorius.core.progress import Cancelled, TimeLeft
from napari_sartorius.ui.run_panel import duration

if TYPE_CHECKING:
    from types import TracebackType

    from qtpy.QtWidgets import QWidget

_STEPS = 1000
_SHOWN_AFTER_MS = 500  # what is over sooner shows nothing


class WaitDialog(QProgressDialog):
    """Keeps its window from being used until it is left.

    Parameters
    ----------
    title : str
        Of the dialog.
    parent : QWidget
        In whose window it waits.
    """

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(title, "Cancel", 0, _STEPS, parent)
        self.setWindowTitle(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumDuration(_SHOWN_AFTER_MS)
        self.setAutoReset(False)
        self._left = TimeLeft()

    def tell(self, stage: str, share: float) -> None:
        """Show how far it is, 0..1; `Cancelled` when the user has had enough."""
        left = self._left.update(share, time.monotonic())
        more = f"\nabout {duration(left)} left" if left is not None and left >= 1.0 else ""
        self.setLabelText(f"{stage}{more}")
        self.setValue(round(share * _STEPS))  # this lets Qt draw and hear the button
        if self.wasCanceled():
            raise Cancelled

    def __enter__(self) -> WaitDialog:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Go away."""
        self.close()
        self.deleteLater()
